"""Worker processes for drawing and fitting.

What a job returns does not depend on who does it, so that the same seed gives the same script with any number of
workers. A worker that cannot be started, or dies, costs time only: its job is then done in this process.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from typing import IO, Any, cast

from cadcoder.errors import InputError
from cadcoder.refine.frames import read_frame, write_frame

#: Seconds in which a worker must have started.
START_SECONDS = 120.0
#: Seconds for which closing waits for the workers' ends.
CLOSE_SECONDS = 0.2
#: After so many deaths no more workers are started.
MOST_DEATHS = 3

_BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from cadcoder.refine.worker import main; main()"
_SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Died(Exception):
    """The worker does not answer any more."""


class Pool:
    """Up to ``size`` worker processes; the first is started at once, the others when jobs wait.

    The jobs are those of :mod:`cadcoder.refine.worker`.
    """

    def __init__(self, size: int) -> None:
        """Start the first worker, in the background; with ``size`` 0 all work is done in this process."""
        self._size = size
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Future[Any], str, tuple[Any, ...], dict[str, Any]] | None]
        self._queue = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._threads = 0
        self._open_jobs = 0
        self._deaths = 0
        self._closed = False
        self.grow()

    def submit(self, job: str, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Ask for a job, and return its future result.

        Args:
            job: ``observe``, ``likeness``, ``retrieve`` or ``fit``.
            args: its arguments.
            kwargs: its named arguments.

        Raises:
            InputError: if the pool is closed.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise InputError("this pipeline is closed; open a new one")
            self._open_jobs += 1
            waiting = self._open_jobs > self._threads
        future.add_done_callback(self._finished)
        self._queue.put((future, job, args, kwargs))
        if waiting:
            self.grow()
        return future

    def _finished(self, future: Future[Any]) -> None:
        with self._lock:
            self._open_jobs -= 1

    def grow(self) -> None:
        """Start one more worker, in the background, if there may be one more."""
        with self._lock:
            if self._closed or self._threads >= max(1, self._size):
                return
            self._threads += 1
            threading.Thread(target=self._serve, daemon=True, name=f"cadcoder-fit-{self._threads}").start()

    def _serve(self) -> None:
        """Hand jobs to a worker, one at a time, until the pool is closed."""
        worker = self._start()
        while (item := self._queue.get()) is not None:
            future, job, args, kwargs = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or self._start()
                if worker is not None:
                    future.set_result(worker.ask(job, args, kwargs))
                    continue
            except _Died:
                self._bury(worker)
                worker = None
            except BaseException as error:  # handed on to whoever waits for the result
                future.set_exception(error)
                continue
            try:
                if self._closed:
                    raise InputError("the pipeline was closed while it worked")
                future.set_result(_here(job, args, kwargs))
            except BaseException as error:
                future.set_exception(error)

    def _start(self) -> _Worker | None:
        """Return a new worker that is ready, or None where there can be none."""
        if self._closed or self._size < 1 or self._deaths >= MOST_DEATHS:
            return None
        try:
            worker = _Worker()
        except OSError:
            self._deaths = MOST_DEATHS
            return None
        with self._lock:
            self._workers.append(worker)
        try:
            worker.wait_until_ready()
        except _Died:
            self._bury(worker)
            return None
        return worker

    def _bury(self, worker: _Worker | None) -> None:
        with self._lock:
            self._deaths += 1
            if worker in self._workers:
                self._workers.remove(worker)
        if worker is not None:
            worker.close()

    def close(self) -> None:
        """End the workers, in the middle of a job if need be."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, []
        for _ in range(self._threads):
            self._queue.put(None)
        ends = [worker.close() for worker in workers]
        limit = time.monotonic() + CLOSE_SECONDS
        for end in ends:
            end.join(max(0.0, limit - time.monotonic()))


class _Worker:
    """A child process that runs :func:`cadcoder.refine.worker.main`."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: if there can be no process.
        """
        if getattr(sys, "frozen", False) or not sys.executable:
            raise OSError("this Python cannot start another one")
        self._process = subprocess.Popen(
            # -P: the child finds its modules where this process finds them, and not in the current folder before.
            [sys.executable, "-P", "-X", "utf8", "-c", _BOOTSTRAP.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(_SINGLE_THREAD, "1"),
        )

    def wait_until_ready(self) -> None:
        """Return once it can take jobs.

        Raises:
            _Died: if it ended instead, or takes too long.
        """
        watch = threading.Timer(START_SECONDS, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            self._read()
        finally:
            watch.cancel()

    def ask(self, job: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a job returns, or raise what it raises.

        Raises:
            _Died: if the process ends before it answers.
        """
        try:
            write_frame(cast("IO[bytes]", self._process.stdin), (job, args, kwargs))
        except (OSError, ValueError):
            raise _Died from None
        good, value = self._read()
        if good:
            return value
        raise value

    def _read(self) -> Any:
        try:
            return read_frame(cast("IO[bytes]", self._process.stdout))
        except (OSError, ValueError, EOFError):
            raise _Died from None

    def close(self) -> threading.Thread:
        """End the process, and return the thread that waits for its end.

        On a busy machine that takes seconds: Mesa's threads have the lowest priority, at their end too.
        """
        self._process.kill()
        reaper = threading.Thread(target=self._reap, daemon=True, name="cadcoder-reap")
        reaper.start()
        return reaper

    def _reap(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", stream).close()


def _here(job: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from cadcoder.refine.worker import JOBS

    return JOBS[job](*args, **kwargs)
