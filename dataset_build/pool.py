"""Worker processes that may die: what kills one becomes a reject, and the build goes on.

Every worker is a fresh process with a window of its own. Chunks come back in the order in which they were given,
so that the bytes written do not depend on how many workers there are.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, Self

from cadcoder.errors import MissingDependency, SandboxUnavailable
from dataset_build.guard import Guard
from dataset_build.parts import Source
from dataset_build.readers.rejects import Reason, Reject
from dataset_build.shards import Sample
from dataset_build.versions import fingerprint
from dataset_build.wish import Wish

Row = Sample | Reject
#: A part that takes longer than this many processor seconds loses its worker: a busy machine is not the part's fault.
PATIENCE = 60
#: By the clock it has so many seconds, for what waits and does nothing.
WAIT = 600
#: A part that takes more memory than this beyond what its worker has already (bytes) is refused it. What a part does to
#: a machine must not hang on how much memory the machine has left, nor reach the others on it.
MEMORY = 4 << 30


class Engine(Protocol):
    """What does chunks: this machine's :class:`Pool`, or :class:`dataset_build.cluster.RayPool`."""

    def __enter__(self) -> Self:
        """Get ready."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        ...

    def run(self, chunks: Iterable[range]) -> Iterator[tuple[range, list[Row]]]:
        """Yield (chunk, its rows) in the order of the chunks, a row for every index."""
        ...


_source: Source
_images: bool | Wish
_verify: str
_guard: Guard | None


def _start(source: Source, images: bool | Wish, verify: str, guard: Guard | None, parent: int) -> None:
    """Run first in every worker."""
    global _source, _images, _verify, _guard
    _source, _images, _verify, _guard = source, images, verify, guard
    gc.freeze()  # what is loaded by now stays
    _bound()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _bound() -> None:
    """Bound what this worker can still take."""
    fields = (line.split() for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    data = next(int(f[1]) << 10 for f in fields if f[0] == "VmData:")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data + MEMORY
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _follow(parent: int) -> None:
    """End this worker when its parent has been killed and can no longer tell it to."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(indices: range) -> list[Row]:
    from dataset_build.make import make

    rows: list[Row] = []
    # Parts are many small objects without cycles; looking for some after every few costs a tenth of the time.
    gc.disable()
    for i in indices:
        # Their default action ends the process, also from within a library that never returns.
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        signal.alarm(WAIT)
        try:
            name = _source.name(i)
            part = (_guard.before(name) if _guard else None) or _source.part(i)
            rows.append(part if isinstance(part, Reject) else make(part, name, _images, i, _verify, _guard))
        except (MissingDependency, SandboxUnavailable):
            raise  # not the part's fault: nothing can be drawn or run on this machine
        except Exception as e:
            # One part in a million must not end a night's work; it is counted, and says where to look.
            where = traceback.extract_tb(e.__traceback__)[-1]
            detail = f"{type(e).__name__}: {e} ({Path(where.filename).name}:{where.lineno})"
            rows.append(Reject(Reason.INTERNAL, _source.name(i), "", " ".join(detail.split())[:300]))
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    gc.collect()
    return rows


def _ready() -> dict[str, str]:
    """Load what parts are made with; return its fingerprint."""
    import dataset_build.make  # noqa: F401

    return fingerprint()


class Pool:
    """Workers over one source; a context manager."""

    def __init__(
        self,
        source: Source,
        workers: int,
        images: bool | Wish = True,
        verify: str = "fast",
        guard: Guard | None = None,
    ) -> None:
        """Make no process yet; they start with the first chunk."""
        self._source, self._workers, self._images, self._verify = source, workers, images, verify
        self._guard = guard
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def _fresh(self, workers: int) -> ProcessPoolExecutor:
        # Spawned, not forked: an OpenGL context does not survive a fork.
        arguments = (self._source, self._images, self._verify, self._guard, os.getpid())
        return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=arguments)

    def ready(self) -> dict[str, str]:
        """Start a worker and return the fingerprint of what it makes parts with.

        Raises:
            ImportError: if something is not installed.
            BrokenProcessPool: if workers cannot run here.
        """
        if self._executor is None:
            self._executor = self._fresh(self._workers)
        return self._executor.submit(_ready).result()

    def run(self, chunks: Iterable[range]) -> Iterator[tuple[range, list[Row]]]:
        """Yield (chunk, its rows) in the order of the chunks, a row for every index."""
        ahead = 2 * self._workers + 1  # enough that nobody waits, few enough that memory stays flat
        waiting: deque[tuple[range, Future[list[Row]]]] = deque()
        source = iter(chunks)
        while True:
            if self._executor is None:
                self._executor = self._fresh(self._workers)
            while len(waiting) < ahead and (chunk := next(source, None)) is not None:
                waiting.append((chunk, self._submit(chunk)))
            if not waiting:
                return
            chunk, future = waiting[0]
            try:
                rows = future.result()
            except BrokenProcessPool:
                self._executor.shutdown(wait=False, cancel_futures=True)
                rows = self._singly(chunk)
                self._executor = self._fresh(self._workers)
                kept = [(c, f) for c, f in waiting]
                waiting = deque((c, f if _done(f) else self._submit(c)) for c, f in kept)
            waiting.popleft()
            yield chunk, rows

    def _submit(self, chunk: range) -> Future[list[Row]]:
        assert self._executor is not None
        try:
            return self._executor.submit(_work, chunk)
        except BrokenProcessPool as e:
            failed: Future[list[Row]] = Future()
            failed.set_exception(e)
            return failed

    def _singly(self, chunk: range) -> list[Row]:
        """Do a chunk in which a worker died, one part at a time, to find the one that kills."""
        rows: list[Row] = []
        one = self._fresh(1)
        for i in chunk:
            try:
                rows += one.submit(_work, range(i, i + 1)).result()
            except BrokenProcessPool:
                one.shutdown(wait=False)
                what = f"its worker died, or it took longer than {PATIENCE} s"
                rows.append(Reject(Reason.CRASHED, self._source.name(i), "", what))
                one = self._fresh(1)
        one.shutdown(wait=False)
        return rows


def _done(future: Future[list[Row]]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
