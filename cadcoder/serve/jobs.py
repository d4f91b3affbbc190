"""The queue: one request after the other on a thread of its own, while the event loop stays free.

A request that nobody waits for any more (its time is over, its client went away) is dropped from the queue; if it is
being worked on, the model stops at the next token, and whatever else still runs is left to end by itself while the
next request begins.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from cadcoder.errors import CadCoderError
from cadcoder.options import Stopper
from cadcoder.serve.errors import ApiError, from_ours, unavailable
from cadcoder.serve.protocol import Ask, Choice, Usage

if TYPE_CHECKING:
    from PIL import Image

#: What a job tells: a piece of the text of a choice, or a choice that is finished; None is the end.
Event: TypeAlias = "tuple[int, str | Choice] | None"
#: Requests whose answers nobody waits for, but that still run; with so many the next one waits.
MOST_LEFT_OVER = 2


class Job:
    """A request in the queue; events come in through :meth:`tell`, from the working thread."""

    def __init__(self, ask: Ask, images: Sequence[Image.Image], loop: asyncio.AbstractEventLoop) -> None:
        self.ask, self.images = ask, images
        self.usage = Usage()
        self.stopper = Stopper()
        self.over = asyncio.Event()
        self._loop = loop
        self._events: asyncio.Queue[Event | ApiError] = asyncio.Queue()

    def tell(self, event: Event | ApiError) -> None:
        """Hand an event on; from any thread."""
        # The loop is closed where the server ended meanwhile.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def next(self) -> Event:
        """Wait for the next event.

        Raises:
            ApiError: if the work failed.
        """
        event = await self._events.get()
        if isinstance(event, ApiError):
            raise event
        return event

    def stop(self) -> None:
        """Say that nobody waits any more; from the event loop."""
        self.stopper.stop()
        self.over.set()


class Jobs:
    """Does jobs in the order in which they came.

    Attributes:
        within: requests that are read, wait or are worked on.
        refusing: why no more requests are taken; None where they are.
    """

    def __init__(self, work: Callable[[Job], None], waiting: int) -> None:
        """Take the work to be done for a job, and how many requests may wait beside the one in work."""
        self._work = work
        self._most = waiting + 1
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._left_over: set[threading.Thread] = set()
        self._seconds = 3.0
        self._current: Job | None = None
        self.within = 0
        self.refusing: str | None = "the model is being loaded; try again in a moment"

    @property
    def left_over(self) -> bool:
        """Whether something still runs that nobody waits for."""
        return any(thread.is_alive() for thread in self._left_over)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            ApiError: if requests are refused, or there is none.
        """
        if self.refusing is not None:
            raise unavailable(self.refusing)
        if self.within >= self._most:
            wait = max(1, min(600, math.ceil(self._seconds * self.within)))
            raise ApiError(
                429,
                f"{self.within} requests wait already; try again in {wait} s",
                code="queue_full",
                headers={"Retry-After": str(wait)},
            )
        self.within += 1
        try:
            yield
        finally:
            self.within -= 1

    def add(self, ask: Ask, images: Sequence[Image.Image]) -> Job:
        """Put a request in the queue; its place must be held."""
        job = Job(ask, images, asyncio.get_running_loop())
        self._jobs.append(job)
        self._wake.set()
        return job

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while not self._jobs:
                self._wake.clear()
                await self._wake.wait()
            while sum(thread.is_alive() for thread in self._left_over) >= MOST_LEFT_OVER:
                await asyncio.sleep(0.1)
            job = self._jobs.popleft()
            if job.stopper.stopped:
                continue
            self._current, start = job, time.monotonic()
            thread = threading.Thread(target=self._do, args=(job,), daemon=True, name="cadcoder-request")
            thread.start()
            await job.over.wait()
            self._current = None
            self._left_over = {t for t in (*self._left_over, thread) if t.is_alive()}
            self._seconds += 0.2 * (time.monotonic() - start - self._seconds)

    def _do(self, job: Job) -> None:
        try:
            self._work(job)
            job.tell(None)
        except ApiError as error:
            job.tell(error)
        except CadCoderError as error:
            job.tell(from_ours(error))
        except BaseException:
            # What is cancelled on the way when nobody waits any more is no fault.
            if job.stopper.stopped:
                return
            traceback.print_exc(file=sys.stderr)
            job.tell(ApiError(500, "the server met an unexpected fault; its log says more"))
        finally:
            if not job._loop.is_closed():
                job._loop.call_soon_threadsafe(job.over.set)

    def refuse(self, why: str) -> None:
        """Take no more requests."""
        self.refusing = why

    def end_all(self) -> None:
        """Tell all who wait that there will be no answer."""
        for job in (*self._jobs, *([self._current] if self._current else [])):
            job.tell(unavailable("the server ends"))
            job.stop()
        self._jobs.clear()
