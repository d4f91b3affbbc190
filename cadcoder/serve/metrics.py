"""Counters in Prometheus' text format."""

from __future__ import annotations

from collections import Counter


class Metrics:
    """What a server has done since it began."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.seconds = 0.0
        self.prompt_tokens = self.completion_tokens = 0

    def text(self, within: int, ready: bool) -> str:
        """Return all as text; ``within`` is the number of requests that are read, wait or are worked on."""
        requests = [f'requests_total{{status="{status}"}} {n}' for status, n in sorted(self.requests.items())]
        tokens = [("prompt", self.prompt_tokens), ("completion", self.completion_tokens)]
        table = [
            ("requests_total", "counter", "chat completions by HTTP status", requests),
            (
                "request_seconds_total",
                "counter",
                "seconds from the arrivals of chat completions to their ends",
                [f"request_seconds_total {self.seconds:.3f}"],
            ),
            (
                "tokens_total",
                "counter",
                "tokens that the model has read and written",
                [f'tokens_total{{kind="{kind}"}} {n}' for kind, n in tokens],
            ),
            (
                "requests_within",
                "gauge",
                "chat completions that are read, wait or are worked on",
                [f"requests_within {within}"],
            ),
            ("ready", "gauge", "whether requests are taken", [f"ready {int(ready)}"]),
        ]
        lines = []
        for name, kind, says, values in table:
            lines += [f"# HELP cadcoder_{name} {says}", f"# TYPE cadcoder_{name} {kind}"]
            lines += [f"cadcoder_{value}" for value in values]
        return "\n".join(lines) + "\n"
