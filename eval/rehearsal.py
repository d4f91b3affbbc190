"""A server for rehearsals: it speaks the protocols of OpenAI, Anthropic and Gemini, and misbehaves on demand.

``python -m eval.rehearsal --port 8123 [--faults 0.2] [--slow 0.05] [--seed 0] [--bill bill.jsonl]``

To try a whole run without a key or a cent, and to test what the benchmark does when a provider does not. Answers are
scripts of simple shapes, in prose and fences as models write them. What it would bill is written to ``--bill``, a line
an answer that was delivered whole: with it one can check that nothing was asked twice, and that costs are right.

A fault is drawn by chance for every request (``--faults``), of ``--kinds``:

========== =====================================================================================================
429        too many requests, with ``Retry-After``
500        internal error
503        overloaded
slow       no answer before the client's patience ends (``--patience`` seconds)
cut        the connection ends in the middle of the answer
malformed  a 200 that is no JSON
refusal    the model refuses, as each protocol says so; this is an answer, and billed
empty      an answer without text; billed
truncated  an answer that ends at the longest length; billed
========== =====================================================================================================
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Faults after which a client should ask again, and those that are answers.
PASSING = ("429", "500", "503", "slow", "cut", "malformed")
FINAL = ("refusal", "empty", "truncated")

SCRIPT = """import cadquery as cq

# {digest}
base = cq.Workplane("XY").box({x}, {y}, {z})
solid = base.faces(">Z").workplane().hole({d})
"""
_ENDS = {
    "openai": {"stop": "stop", "truncated": "length", "refusal": "content_filter"},
    "anthropic": {"stop": "end_turn", "truncated": "max_tokens", "refusal": "refusal"},
    "gemini": {"stop": "STOP", "truncated": "MAX_TOKENS", "refusal": "SAFETY"},
}


class Rehearsal:
    """The server, in threads of this process; a context manager."""

    def __init__(
        self,
        port: int = 0,
        *,
        faults: float = 0.0,
        kinds: Sequence[str] = PASSING,
        script: Sequence[str] = (),
        slow: float = 0.0,
        patience: float = 3.0,
        retry_after: float = 0.2,
        seed: int = 0,
        key: str | None = None,
        bill: Path | None = None,
        write: Callable[[str], str] | None = None,
    ) -> None:
        """Open the port.

        Args:
            port: 0 for any that is free.
            faults: share of requests that meet a fault.
            kinds: which faults.
            script: faults of the first requests, in order (``ok`` for none); then by chance.
            slow: seconds that every answer takes.
            patience: how long a slow one takes.
            retry_after: seconds that a 429 names.
            seed: of the chances.
            key: the only one that is let in; None for any.
            bill: file for what was delivered.
            write: what is answered to a question (its last text); None for simple shapes.
        """
        self.faults, self.kinds, self.script = faults, tuple(kinds), list(script)
        self.slow, self.patience, self.retry_after = slow, patience, retry_after
        self.key, self.bill, self.write = key, bill, write or _shape
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.met: list[tuple[str, str]] = []
        self.delivered: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self.busy, self.busiest = 0, 0
        self.ending = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def fault(self) -> str:
        """Draw what the next request meets."""
        with self._lock:
            if self.script:
                return self.script.pop(0)
            return self._chance.choice(self.kinds) if self._chance.random() < self.faults else "ok"

    def note(self, line: dict[str, Any]) -> None:
        """Bill an answer."""
        with self._lock:
            self.delivered.append(line)
            if self.bill is not None:
                with open(self.bill, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """End it."""
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


def _shape(question: str) -> str:
    digest = hashlib.sha256(question.encode()).hexdigest()[:12]
    chance = random.Random(digest)
    x, y, z = (chance.randint(20, 100) for _ in range(3))
    script = SCRIPT.format(digest=digest, x=x, y=y, z=z, d=max(2, min(x, y) // 4))
    if "illet" in question:
        script += "solid = solid.edges().fillet(0.5)\n"
    return f"This is the part:\n\n```python\n{script}```\n\nI hope that helps."


def _question(protocol: str, body: dict[str, Any]) -> tuple[str, int]:
    """Return the last text of a question with a digest of all it holds, and how many letters it has."""
    said = body.get("contents" if protocol == "gemini" else "messages") or []
    content = said[-1].get("parts" if protocol == "gemini" else "content") if said else ""
    parts = [content] if isinstance(content, str) else content or []
    text = " ".join(p if isinstance(p, str) else str(p.get("text", "")) for p in parts)
    whole = json.dumps(said, sort_keys=True)
    return f"{text} #{hashlib.sha256(whole.encode()).hexdigest()[:16]}", len(whole)


def _answer(protocol: str, model: str, text: str, end: str, used: tuple[int, int]) -> dict[str, Any]:
    """Return an answer as a protocol has it."""
    finish = _ENDS[protocol].get(end, _ENDS[protocol]["stop"])
    if protocol == "openai":
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if end == "refusal":
            message |= {"content": None, "refusal": "I cannot help with that."}
            finish = "stop"
        return {
            "id": "chatcmpl-rehearsal",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)},
        }
    if protocol == "anthropic":
        return {
            "id": "msg_rehearsal",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": finish,
            "stop_sequence": None,
            "usage": {"input_tokens": used[0], "output_tokens": used[1]},
        }
    candidate: dict[str, Any] = {"index": 0, "finishReason": finish}
    if end != "refusal":
        candidate["content"] = {"role": "model", "parts": [{"text": text}] if text else []}
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": used[0],
            "candidatesTokenCount": used[1],
            "totalTokenCount": sum(used),
        },
        "modelVersion": model,
        "responseId": "rehearsal",
    }


def _handler(house: Rehearsal) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

        def do_GET(self) -> None:
            if self.path.rstrip("/").endswith("/models"):
                self._send(200, {"object": "list", "data": [{"id": "rehearsal", "object": "model"}]})
            else:
                self._send(404, {"error": {"message": "there is no such page"}})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with house._lock:
                house.times.append(time.monotonic())
                house.busy += 1
                house.busiest = max(house.busiest, house.busy)
            try:
                self._answered(body)
            finally:
                with house._lock:
                    house.busy -= 1

        def _answered(self, data: bytes) -> None:
            protocol, model = self._what()
            if protocol is None:
                self._send(404, {"error": {"message": "there is no such page"}})
                return
            keys = (
                self.headers.get("Authorization", "")[7:],
                self.headers.get("x-api-key"),
                self.headers.get("x-goog-api-key"),
            )
            if house.key is not None and house.key not in keys:
                given = next((k for k in keys if k), "")
                message = f"Incorrect API key provided: {given}. You can find your key in your account."
                self._send(401, {"error": {"message": message, "type": "invalid_request_error", "code": 401}})
                return
            body = json.loads(data)
            house.bodies.append(body)
            model = model or str(body.get("model", "rehearsal"))
            if model == "missing":
                self._send(404, {"error": {"message": "the model `missing` does not exist", "code": 404}})
                return
            fault = house.fault()
            house.met.append((protocol, fault))
            if house.slow:
                house.ending.wait(house.slow)
            if self._failed(fault):
                return
            question, letters = _question(protocol, body)
            text = "" if fault in ("refusal", "empty") else house.write(question)
            text = text[: len(text) // 3] if fault == "truncated" else text
            used = (letters // 400 + 50, len(text) // 4 + 1)
            content = json.dumps(_answer(protocol, model, text, fault, used)).encode()
            if fault == "malformed":
                content = b"<html>upstream " + content[: len(content) // 2]
            if fault == "cut":
                self._head(200, len(content))
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if self._gone():
                return
            self._head(200, len(content))
            self.wfile.write(content)
            self.wfile.flush()
            if fault != "malformed":
                sha = hashlib.sha256(data).hexdigest()[:24]
                house.note({"question": sha, "model": model, "tokens": used, "end": fault, "time": time.time()})

        def _what(self) -> tuple[str | None, str]:
            path = self.path.split("?")[0]
            if path.endswith("/chat/completions"):
                return "openai", ""
            if path.endswith("/messages"):
                return "anthropic", ""
            if path.endswith(":generateContent"):
                return "gemini", path.rsplit("/", 1)[-1].split(":")[0]
            return None, ""

        def _failed(self, fault: str) -> bool:
            if fault in ("429", "500", "503"):
                extra = {"Retry-After": f"{house.retry_after:g}"} if fault == "429" else {}
                what = {"429": "rate limit reached", "500": "internal error", "503": "overloaded"}[fault]
                error = {"message": what, "type": "error", "code": int(fault), "status": what}
                self._send(int(fault), {"type": "error", "error": error}, extra)
                return True
            if fault == "slow":
                house.ending.wait(house.patience)
                self.close_connection = True
                return True
            return False

        def _gone(self) -> bool:
            """Return whether the client has hung up; a provider stops then, and bills nothing."""
            try:
                self.connection.setblocking(False)
                return bool(self.connection.recv(1, socket.MSG_PEEK) == b"")
            except BlockingIOError:
                return False
            except OSError:
                return True
            finally:
                self.connection.setblocking(True)

        def _head(self, status: int, length: int, extra: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            for name, value in (extra or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, status: int, tree: dict[str, Any], extra: dict[str, str] | None = None) -> None:
            content = json.dumps(tree).encode()
            self._head(status, len(content), extra)
            self.wfile.write(content)

    return Handler


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eval.rehearsal", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests that meet a fault")
    parser.add_argument("--kinds", default=",".join(PASSING), help="which faults, with commas between")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that every answer takes")
    parser.add_argument("--patience", type=float, default=3.0, help="seconds that a slow one takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bill", type=Path, help="file for what was delivered")
    args = parser.parse_args(argv)
    kinds = [kind for kind in args.kinds.split(",") if kind]
    wrong = sorted(set(kinds) - {*PASSING, *FINAL})
    if wrong:
        print(f"error: there are no faults {', '.join(wrong)}; there are {', '.join(PASSING + FINAL)}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        house = Rehearsal(
            args.port,
            faults=args.faults,
            kinds=kinds,
            slow=args.slow,
            patience=args.patience,
            seed=args.seed,
            bill=args.bill,
        )
    except OSError as error:
        print(f"error: port {args.port} cannot be used: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"{house.url}/v1", flush=True)  # noqa: T201
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        house.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
