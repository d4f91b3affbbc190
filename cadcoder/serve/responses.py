"""Answers: server-sent events, and refusals that a client reads even while it is still sending."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from cadcoder.serve.errors import ApiError
from cadcoder.serve.jobs import Job
from cadcoder.serve.protocol import Answer, Ask, Choice

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

#: Seconds between signs of life in a stream; until the first one an error is still a status.
ALIVE_SECONDS = 3.0
#: A body that is refused is still read and dropped up to here, so that the client comes to reading the answer.
DROP_BYTES, DROP_SECONDS = 64 * 2**20, 2.0


async def disconnected(request: Request) -> None:
    """Return when the client is gone; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def events_of(
    job: Job, gone: asyncio.Task[None], deadline: float
) -> AsyncGenerator[tuple[int, str | Choice], None]:
    """Yield a job's events; raise an error when its time is over or its client is gone."""
    while True:
        next_ = asyncio.ensure_future(job.next())
        try:
            left = max(0.0, deadline - time.monotonic())
            await asyncio.wait([next_, gone], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if next_.done():
                event = next_.result()
                if event is None:
                    return
                yield event
                continue
            if gone.done():
                raise ClientDisconnect
            raise ApiError(504, "the answer took longer than a request may", code="timeout")
        finally:
            next_.cancel()


async def sent(
    ask: Ask,
    job: Job,
    answer: Answer,
    ahead: asyncio.Future[tuple[int, str | Choice] | None],
    events: AsyncGenerator[tuple[int, str | Choice], None],
) -> AsyncGenerator[bytes, None]:
    """Yield the server-sent events of an answer; its first event may be under way already."""
    begun: set[int] = set()
    try:
        while True:
            if not ahead.done():
                await asyncio.wait([ahead], timeout=ALIVE_SECONDS)
            if not ahead.done():
                yield b": working\n\n"
                continue
            event = ahead.result()
            if event is None:
                break
            index, what = event
            if index not in begun:
                begun.add(index)
                yield _event(answer.begin(index))
            yield _event(answer.piece(index, what) if isinstance(what, str) else answer.end(index, what))
            ahead = asyncio.ensure_future(anext(events, None))
    finally:
        ahead.cancel()
    if ask.include_usage:
        yield _event(answer.usage(job.usage))
    yield b"data: [DONE]\n\n"


def _event(tree: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(tree, ensure_ascii=False).encode() + b"\n\n"


class EventStream(Response):
    """A stream of server-sent events, which ends early if the client goes, and tells an error as an event."""

    def __init__(
        self, events: AsyncGenerator[bytes, None], hold: contextlib.ExitStack, done: Callable[[int], None]
    ) -> None:
        """Take the events, what must be let go of at the end, and what is told the status then."""
        super().__init__(
            media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        # A stream's length is not known.
        self.raw_headers = [(k, v) for k, v in self.raw_headers if k != b"content-length"]
        self._events, self._hold, self._done = events, hold, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        status = 499
        with self._hold:
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                try:
                    async for data in self._events:
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                    status = 200
                except ApiError as error:
                    status = error.status
                    await send({"type": "http.response.body", "body": _event(error.to_json()), "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except (ClientDisconnect, OSError):
                pass
            finally:
                await self._events.aclose()
                self._done(status)


class Refusal(JSONResponse):
    """The answer to a request whose body is not wanted.

    It is sent first; then some of the body is read and dropped, since a client that is still sending when the
    connection closes sees a broken connection and not the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, and drop the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DROP_SECONDS):
                while size < DROP_BYTES:
                    message: Message = await receive()
                    size += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body"):
                        break
        await send({"type": "http.response.body", "body": b"", "more_body": False})
