"""``Executor``: run untrusted CadQuery scripts, many at once, and get an ``Outcome`` for every one of them."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

from cadcoder.errors import ConfigError
from cadcoder.sandbox import policy
from cadcoder.sandbox.frames import encode
from cadcoder.sandbox.layers import strength
from cadcoder.sandbox.limits import MEGABYTE, THREADS, Limits
from cadcoder.sandbox.outcome import STATUSES, Bounds, Outcome, Status
from cadcoder.sandbox.supervisor import Conversation, Link, ProcessLost, Zygote, converse

EXPORTS = ("step", "stl", "glb")


class Executor:
    """A pool of warm processes for scripts; use it as a context manager.

    ``run``, ``run_many`` and ``imap`` may be called from several threads. Nothing that a script does raises: it becomes
    an ``Outcome``.

    Args:
        workers: Scripts run at the same time.
        timeout: Wall-clock seconds for a script, and again for measuring what it made; then SIGKILL.
        memory_mb: MB that a script may allocate beyond what the warm process holds.
        without: Sandbox layers to do without, of ``layers.LAYERS``. Unsafe: for kernels that lack them, and for tests
            of the others. None for what ``policy.do_without`` was told, which is nothing unless a person said so.
        many: Whether many scripts will be run: half a second more at the start, a fifth less for each of them.

    Raises:
        ConfigError: for a number that makes no sense.
        SandboxUnavailable: if the process cannot be started, or this machine lacks the layers that make a sandbox.
    """

    def __init__(
        self,
        workers: int = 2,
        timeout: float = 10.0,
        memory_mb: int = 2048,
        *,
        without: Sequence[str] | None = None,
        many: bool = True,
    ) -> None:
        if workers < 1 or memory_mb < 64 or not 0 < timeout < math.inf:
            raise ConfigError("the executor needs workers >= 1, a time-out over 0 seconds and memory_mb >= 64")
        # The kernel counts processes and threads of all workers together, in the sandbox's own user namespace.
        threads = THREADS + 4 * workers
        self.limits = Limits(seconds=float(timeout), memory_mb=int(memory_mb), threads=threads)
        self.workers = workers
        self._lock = threading.Lock()
        self._closed = False
        self._without = policy.left_out() if without is None else policy.checked(without)
        self._many = many
        self._zygote = Zygote(self._without, many)
        self._servers: queue.LifoQueue[Link | None] = queue.LifoQueue()
        for _ in range(workers):
            self._servers.put(None)  # forked when first needed
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="cadcoder-sandbox")

    @property
    def layers(self) -> tuple[str, ...]:
        """The active sandbox layers."""
        return self._zygote.layers

    @property
    def strength(self) -> str:
        """``full`` if every layer is active, else ``reduced``."""
        return strength(self.layers)

    @property
    def missing(self) -> dict[str, str]:
        """The layers that this machine lacks, each with the reason."""
        return dict(self._zygote.missing)

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process; calling it twice does no harm."""
        if self._closed:
            return
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(queue.Empty):
            while True:
                server = self._servers.get_nowait()
                if server is not None:
                    server.close()
        self._zygote.close()

    def run(
        self, code: str, *, exports: Sequence[str] = EXPORTS, mesh: bool = True, strict_name: str | None = None
    ) -> Outcome:
        """Run one script.

        Args:
            code: The script.
            exports: Files wanted in ``Outcome.files``, of ``step``, ``stl`` and ``glb``.
            mesh: Whether the triangles are wanted.
            strict_name: The only variable accepted as the result; None for the usual names.

        Raises:
            ConfigError: for an unknown export, or when the executor is closed.
        """
        unknown = sorted(set(exports) - set(EXPORTS))
        if unknown:
            raise ConfigError(f"cannot export {', '.join(unknown)}; there are {', '.join(EXPORTS)}")
        if not isinstance(code, str):
            raise ConfigError("a script is a string")
        if self._closed:
            raise ConfigError("the executor is closed")
        options = {"exports": list(dict.fromkeys(exports)), "mesh": mesh}
        start = time.monotonic()
        reason = ""
        for _ in range(2):  # a process of ours that died takes one script's attempt with it, never the script
            server = self._servers.get()
            try:
                if server is None:
                    server = self._new_server()
                outcome = self._attempt(server, code, options, strict_name, start)
                if outcome.status != "harness_error":
                    return outcome
                reason = outcome.message
            except ProcessLost as error:
                reason = f"a process of the executor was lost ({error})"
                if server is not None:
                    server.close()
                    server = None
            except BaseException:  # an interrupt, perhaps between question and answer
                if server is not None:
                    server.close()
                    server = None
                raise
            finally:
                self._servers.put(server)
        return self._outcome("harness_error", start, message=reason)

    def run_many(
        self,
        codes: Iterable[str],
        *,
        exports: Sequence[str] = EXPORTS,
        mesh: bool = True,
        strict_name: str | None = None,
    ) -> list[Outcome]:
        """Run scripts in parallel; the outcomes come in the order of the scripts. Arguments as for ``run``."""
        return list(self.imap(codes, exports=exports, mesh=mesh, strict_name=strict_name))

    def imap(
        self,
        codes: Iterable[str],
        *,
        exports: Sequence[str] = EXPORTS,
        mesh: bool = True,
        strict_name: str | None = None,
    ) -> Iterator[Outcome]:
        """Like ``run_many``, but yields as results come (in order) and reads ``codes`` only a little ahead."""
        waiting: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        pending = 0
        for code in codes:
            waiting.put(self._threads.submit(self.run, code, exports=exports, mesh=mesh, strict_name=strict_name))
            pending += 1
            if pending > 2 * self.workers:
                yield waiting.get().result()
                pending -= 1
        for _ in range(pending):
            yield waiting.get().result()

    def _new_server(self) -> Link:
        """A fork server, from a new zygote if the old one is gone."""
        with self._lock:
            try:
                return self._zygote.server()
            except ProcessLost:
                self._zygote.close()
                self._zygote = Zygote(self._without, self._many)
                return self._zygote.server()

    def _attempt(
        self, server: Link, code: str, options: dict[str, Any], strict_name: str | None, start: float
    ) -> Outcome:
        source = code.encode("utf-8", "replace")
        if len(source) > self.limits.code_bytes:
            return self._outcome("syntax_error", start, message="the script is too long")
        job = encode({"strict_name": strict_name}, {"code": source})
        built = self._child(server, "builder", job)
        common = {
            "peak_mb": max(0, built.peak - self._zygote.idle_peak) / MEGABYTE,
            "output": built.output.decode("utf-8", "replace"),
        }
        failure = self._failure(built, "the script")
        if failure is not None:
            return self._outcome(failure[0], start, message=failure[1], **common)
        message, parts = built.message or {}, built.parts or {}
        if message.get("status") != "built" or "brep" not in parts:
            return self._outcome(_claimed(message), start, **_words(message), **common)
        name = message.get("name")
        common["result_name"] = name if isinstance(name, str) and name.isidentifier() and len(name) < 100 else None

        judged = self._child(server, "judge", encode(options, {"brep": parts["brep"]}))
        failure = self._failure(judged, "measuring the result")
        if failure is not None:
            if failure[0] == "crash":  # by a signal it is the geometry's doing; by its own code it is ours
                ours = os.waitstatus_to_exitcode(judged.status) >= 0
                words = judged.output.decode("utf-8", "replace").strip().splitlines()[-1:] if ours else []
                failure = ("harness_error" if ours else "invalid_shape", _printable(": ".join([failure[1], *words])))
            return self._outcome(failure[0], start, message=failure[1], **common)
        try:
            measured = _measured(judged.message or {}, judged.parts or {})
        except (KeyError, TypeError, ValueError) as error:
            return self._outcome("harness_error", start, message=f"the judge's answer is malformed: {error}", **common)
        problem = (judged.message or {}).get("problem")
        status: Status = "ok" if problem is None else "invalid_shape"
        if (judged.message or {}).get("out_of_memory"):
            status = "memory"
        return self._outcome(status, start, message=_printable(str(problem or "")), **common, **measured)

    def _child(self, server: Link, role: str, job: bytes) -> Conversation:
        """One child in a folder of its own, which is gone afterwards."""
        if "root_fs" in self.layers:
            return converse(server, role, job, self.limits, "")
        folder = tempfile.mkdtemp(prefix="run-", dir=self._zygote.folder)
        try:
            return converse(server, role, job, self.limits, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _failure(self, talk: Conversation, what: str) -> tuple[Status, str] | None:
        """The status of a child that gave no answer, and why; None for one that did."""
        if not talk.confined:
            words = talk.output.decode("utf-8", "replace").strip().splitlines()
            return "harness_error", words[-1] if words else "a child could not be confined"
        if talk.end == "answered":
            return None
        if talk.end == "timeout" or talk.cpu > 2 * self.limits.seconds:
            return "timeout", f"{what} took longer than {self.limits.seconds:g} s"
        if talk.end == "flood":
            return "output_limit", f"printed more than {self.limits.output_bytes} bytes"
        if talk.end == "too large":
            return "output_limit", f"{what} sent more than {self.limits.geometry_bytes} bytes of geometry"
        if talk.end == "garbled":
            return "crash", f"{what} sent a garbled answer ({(talk.message or {}).get('message')})"
        used = max(0, talk.peak - self._zygote.idle_peak) / MEGABYTE
        if used > 0.6 * self.limits.memory_mb:
            return "memory", f"{what} ran out of memory after {used:.0f} MB (the limit is {self.limits.memory_mb} MB)"
        code = os.waitstatus_to_exitcode(talk.status)
        if code == -signal.SIGSYS:
            return "denied", f"{what} made a system call that kills"
        if code < 0:
            return "crash", f"{what} was ended by {signal.Signals(-code).name}"
        return "crash", f"{what} ended the process with code {code} before there was a result"

    def _outcome(self, status: Status, start: float, **fields: Any) -> Outcome:
        return Outcome(status, seconds=time.monotonic() - start, layers=self.layers, **fields)


def _claimed(message: dict[str, Any]) -> Status:
    """The failing status that a builder claims; one that it may not claim is a crash."""
    status = message.get("status")
    for known in STATUSES:
        if status == known and known in ("syntax_error", "exception", "no_result", "memory", "denied"):
            return known
    return "crash"


def _printable(text: str) -> str:
    """One line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def _words(message: dict[str, Any]) -> dict[str, Any]:
    text, line = message.get("message"), message.get("line")
    return {
        "message": (_printable(text) if isinstance(text, str) else "")[:500] or "the script's process gave no reason",
        "line": line if type(line) is int and 0 < line < 1 << 31 else None,
    }


def _measured(message: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    """The judge's figures as fields of an Outcome, each checked: what it read came from untrusted code.

    Raises:
        KeyError, TypeError, ValueError: if they are not what a judge sends.
    """
    fields: dict[str, Any] = {"files": {name: parts[name] for name in EXPORTS if name in parts}}
    if "n_solids" in message:
        fields["n_solids"] = int(message["n_solids"])
    if "bounds" in message:
        fields["volume"] = float(message["volume"])
        low, high = ((float(x), float(y), float(z)) for x, y, z in message["bounds"])
        if not all(map(math.isfinite, (*low, *high, fields["volume"]))):
            raise ValueError("not finite")
        bounds: Bounds = (low, high)
        fields["bounds"] = bounds
    if "brep" in parts:
        fields["brep"] = parts["brep"]
    if "vertices" in parts:
        vertices = np.frombuffer(parts["vertices"], dtype="<f8").reshape(-1, 3)
        faces = np.frombuffer(parts["faces"], dtype="<i4").reshape(-1, 3)
        if not np.isfinite(vertices).all() or (len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices)):
            raise ValueError("not a mesh")
        fields |= {"vertices": vertices.astype(np.float64), "faces": faces.astype(np.int32)}
    return fields
