"""What rows come to: a model's figures, by complexity, and differences between models part by part."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from cadcoder.scoring import OURS, Row, estimate, summarise

#: Bounds of the groups of parts by their number of faces.
COMPLEXITY = ((1, 6), (7, 12), (13, 24), (25, math.inf))
#: Sign flips of the paired test, and resamples of the interval.
FLIPS, RESAMPLES = 10_000, 5000

#: Protocols: the row's measure, what tables call it, and what it is.
PROTOCOLS = {
    "iou_best": ("IoU (paper)", "CAD-Coder's best of four poses, with proper rotations"),
    "iou_aligned": ("IoU aligned", "best of all proper rotations"),
    "iou_raw": ("IoU raw", "as given: place, size and turn count"),
    "iou_box": ("IoU unit box", "boxes centred and longest sides one, not turned"),
    "iou_cad_coder": ("IoU published", "CAD-Coder's published evaluator, faults included"),
}


def value(row: Row, metric: str) -> float:
    """Return a measure of a row; a failure counts 0."""
    found = (row["metrics"] or {}).get(metric)
    return float(found) if found is not None else 0.0


def counted(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are not our own faults."""
    return [row for row in rows if row["outcome"] != OURS]


def by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each model, in the order in which the models first occur."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["model"], []).append(row)
    return found


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return one model's figures.

    Returns:
        the summary of :func:`cadcoder.scoring.summarise`, and ``failures`` (outcome: how often), ``cost`` and
        ``cost_part`` (dollars; None where a price is not known), ``seconds_part``, ``tokens_in``, ``tokens_out``,
        ``calls`` (answers of a provider), ``tries`` (calls made for them), ``prompt``, ``kind``, ``repeats``.
    """
    scored = counted(rows)
    summary = summarise(rows)
    money = cost_of(rows)
    seconds = [float(row["answer_seconds"]) for row in scored if row["answer_seconds"]]
    return summary | {
        "failures": dict(Counter(row["outcome"] for row in rows if row["outcome"] != "ok").most_common()),
        "cost": money,
        "cost_part": None if money is None or not scored else money / len(scored),
        "seconds_part": statistics.mean(seconds) if seconds else 0.0,
        "tokens_in": sum(row["tokens_in"] for row in rows),
        "tokens_out": sum(row["tokens_out"] for row in rows),
        "calls": sum(len(row["calls"]) for row in rows),
        "tries": sum(row["tries"] for row in rows),
        "prompt": rows[0]["prompt"],
        "prompt_sha": rows[0]["prompt_sha"],
        "kind": rows[0]["kind"],
        "repeats": len({row["repeat"] for row in rows}),
    }


def cost_of(rows: Sequence[Row]) -> Decimal | None:
    """Return the dollars of some rows, None where a price is not known.

    An answer that several rows share was paid for once, but is counted with each, as each would have needed it.
    """
    if any(row["cost"] is None for row in rows):
        return None
    return sum((Decimal(row["cost"]) for row in rows), Decimal(0))


def by_complexity(rows: Sequence[Row], metric: str) -> list[dict[str, Any]]:
    """Return for each group of parts by faces: ``faces`` (low, high), and ``models``: mean with interval and n."""
    groups = []
    for low, high in COMPLEXITY:
        inside = [row for row in counted(rows) if row["faces"] is not None and low <= row["faces"] <= high]
        if not inside:
            continue
        models = {
            name: estimate([value(row, metric) for row in some]) | {"n": len(some)}
            for name, some in by_model(inside).items()
        }
        groups.append({"faces": (low, None if math.isinf(high) else int(high)), "models": models})
    return groups


def pairs(rows: Sequence[Row], metric: str) -> list[dict[str, Any]]:
    """Compare every two models on the parts that both have rows for; repeats of a part are averaged first.

    Returns:
        for each pair ``a``, ``b``, ``n``, ``difference`` (mean of a - b, failures as 0) with a 95 % bootstrap interval
        ``low``, ``high`` over the parts; ``p`` of a two-sided paired randomisation test (signs flipped at random,
        Fisher; 10,000 flips) and ``p_holm``, adjusted for the number of pairs (Holm); ``better``, ``equal``, ``worse``.
    """
    means: dict[str, dict[str, float]] = {}
    for name, some in by_model(counted(rows)).items():
        parts: dict[str, list[float]] = {}
        for row in some:
            parts.setdefault(row["id"], []).append(value(row, metric))
        means[name] = {part: statistics.mean(values) for part, values in parts.items()}
    found = []
    for a, b in itertools.combinations(means, 2):
        common = sorted(means[a].keys() & means[b].keys())
        if common:
            gaps = np.array([means[a][part] - means[b][part] for part in common])
            found.append({"a": a, "b": b, "n": len(common), **_paired(gaps)})
    _holm(found)
    return found


def _paired(gaps: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    n = len(gaps)
    step = max(1, 2_000_000 // n)
    means = [gaps[rng.integers(0, n, (min(step, RESAMPLES - i), n))].mean(1) for i in range(0, RESAMPLES, step)]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    extreme, seen = 0, abs(gaps.mean())
    for i in range(0, FLIPS, step):
        signs = rng.integers(0, 2, (min(step, FLIPS - i), n)) * 2 - 1
        extreme += int((abs((signs * gaps).mean(1)) >= seen - 1e-12).sum())
    near = 1e-3
    return {
        "difference": float(gaps.mean()),
        "low": float(low),
        "high": float(high),
        "p": (extreme + 1) / (FLIPS + 1),
        "better": int((gaps > near).sum()),
        "equal": int((abs(gaps) <= near).sum()),
        "worse": int((gaps < -near).sum()),
    }


def _holm(found: list[dict[str, Any]]) -> None:
    highest = 0.0
    for rank, pair in enumerate(sorted(found, key=lambda pair: pair["p"])):
        highest = max(highest, min(1.0, pair["p"] * (len(found) - rank)))
        pair["p_holm"] = highest


def all_figures(rows: Sequence[Row], measure: str) -> dict[str, Any]:
    """Return everything that a report says: ``models``, ``complexity``, ``pairs``, ``groups`` and ``metric``."""
    metric = "rounded" if measure == "rounded" else "iou_best"
    groups: Mapping[str, list[Row]] = {}
    names = list(dict.fromkeys(row["group"] for row in rows))
    if len(names) > 1:
        groups = {name: [row for row in rows if row["group"] == name] for name in names}
    models = {name: figures(some) | rounded(some, measure) for name, some in by_model(rows).items()}
    order = sorted(models, key=lambda name: -models[name]["score"]["mean"] if models[name]["score"] else 1.0)
    return {
        "metric": metric,
        "models": {name: models[name] for name in order},
        "complexity": by_complexity(rows, metric),
        "pairs": pairs(sorted(rows, key=lambda row: order.index(row["model"])), metric),
        "groups": {
            group: {name: _score(some, metric) for name, some in by_model(members).items()}
            for group, members in groups.items()
        },
    }


def rounded(rows: Sequence[Row], measure: str) -> dict[str, Any]:
    """Return the ``score`` that a model is ranked by."""
    return {"score": _score(rows, "rounded" if measure == "rounded" else "iou_best")}


def _score(rows: Sequence[Row], metric: str) -> dict[str, float] | None:
    scored = counted(rows)
    return estimate([value(row, metric) for row in scored]) if scored else None
