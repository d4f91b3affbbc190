"""Processes that take seconds to start, kept warm for all tests of a run: the sandbox's zygote, and workers that fit.

The code under test opens and closes them as ever, and what runs in them is the real thing, layers and all; but opening
one takes a warm one where there is one, and closing it keeps it for the next. Tests of these processes themselves start
their own: they ask for the fixture ``cold``.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from cadcoder.refine import pool
from cadcoder.sandbox import executor, supervisor

#: As many idle workers are kept.
MOST_WORKERS = 4

_real_zygote, _real_worker = supervisor.Zygote, pool._Worker
_zygotes: dict[tuple[str, ...], supervisor.Zygote] = {}
_workers: list[pool._Worker] = []
_lock = threading.Lock()


class SharedZygote:
    """A zygote that outlives the executors that have it; each has servers of its own."""

    def __init__(self, without: tuple[str, ...] = (), many: bool = True) -> None:
        self._without = without
        with _lock:
            if without not in _zygotes:
                _zygotes[without] = _real_zygote(without, True)
            self._zygote = _zygotes[without]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._zygote, name)

    def server(self) -> supervisor.Link:
        try:
            return self._zygote.server()
        except supervisor.ProcessLost:
            with _lock:
                if _zygotes.get(self._without) is self._zygote:
                    _zygotes.pop(self._without).close()
            raise

    def close(self) -> None:
        """The servers of the executor are closed; the zygote is for the next."""


class SharedWorker:
    """A worker until it is closed: one that is idle then goes on to the next pool, one in a job is ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed, self._idle, self._marked = False, True, False
        with _lock:
            self._worker = _workers.pop() if _workers else None
        if self._worker is None or self._worker._process.poll() is not None:
            self._worker, self._idle = _real_worker(), False

    def wait_until_ready(self) -> None:
        if not self._idle:
            self._worker.wait_until_ready()
            self._idle = True

    def ask(self, job: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._lock:
            if self._closed:
                raise pool._Died
            self._idle = False
        self._marked |= job == "retrieve"  # it keeps the bank of that name, which a test may change
        try:
            answer = self._worker.ask(job, args, kwargs)
        except pool._Died:
            raise
        except BaseException:
            self._idle = True
            raise
        self._idle = True
        return answer

    def close(self) -> threading.Thread:
        with self._lock:
            before, self._closed = self._closed, True
            if before or (self._idle and not self._marked and self._kept()):
                done = threading.Thread(target=lambda: None)
                done.start()
                return done
        return self._worker.close()

    def _kept(self) -> bool:
        with _lock:
            if len(_workers) >= MOST_WORKERS:
                return False
            _workers.append(self._worker)
            return True


def share(on: bool) -> None:
    """Let executors and pools that are opened from now on take what is warm, or start their own."""
    executor.Zygote = SharedZygote if on else _real_zygote  # type: ignore[attr-defined, misc]
    pool._Worker = SharedWorker if on else _real_worker  # type: ignore[misc]


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Share what is opened within, and end it at the end."""
    share(True)
    try:
        yield
    finally:
        share(False)
        for zygote in _zygotes.values():
            zygote.close()
        for end in [worker.close() for worker in _workers]:
            end.join(2)
        _zygotes.clear()
        _workers.clear()


@contextlib.contextmanager
def unshared() -> Iterator[None]:
    """Start what is opened within, as if nothing were shared."""
    share(False)
    try:
        yield
    finally:
        share(True)
