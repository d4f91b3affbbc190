"""The HTTP side: routes, limits, and answers whole or as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cadcoder import __version__, pictures
from cadcoder.errors import CadCoderError
from cadcoder.serve.errors import ApiError, from_ours
from cadcoder.serve.jobs import Job, Jobs
from cadcoder.serve.metrics import Metrics
from cadcoder.serve.protocol import Answer, Ask, Choice, parse
from cadcoder.serve.work import check_options, known_fields

if TYPE_CHECKING:
    from PIL import Image
    from starlette.types import Message, Receive, Scope, Send

    from cadcoder.pipeline import Options

#: Seconds in which a request's body must have come.
BODY_SECONDS = 30.0
#: Seconds between signs of life in a stream; until the first one an error is still a status.
ALIVE_SECONDS = 3.0
#: A body that is refused is still read and dropped up to here, so that the client comes to reading the answer.
DROP_BYTES, DROP_SECONDS = 64 * 2**20, 2.0

#: Says what was done: status, what, seconds.
Log = Callable[[int, str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost.

    Attributes:
        body: bytes of its body.
        seconds: from its arrival to its answer.
        key: the key that clients must show; None where they need none.
    """

    body: int
    seconds: float
    key: str | None = None


class Api:
    """The routes of a server."""

    def __init__(self, jobs: Jobs, options: Options, served: str, limits: Limits, log: Log) -> None:
        self.jobs, self._options, self._served, self._limits, self._log = jobs, options, served, limits, log
        self.metrics = Metrics()
        self._own = known_fields(options)
        self._created = int(time.time())

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._guarded(self._metrics)),
                Route("/v1/models", self._guarded(self._models)),
                Route("/v1/models/{name:path}", self._guarded(self._model)),
                Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
            ],
            exception_handlers={ApiError: _told, HTTPException: _of_starlette, Exception: _unexpected},
        )

    def _guarded(self, route: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return a route that asks for the key."""

        async def guarded(request: Request) -> Response:
            if self._limits.key is not None:
                scheme, _, shown = request.headers.get("authorization", "").partition(" ")
                good = hmac.compare_digest(shown.strip().encode(), self._limits.key.encode())
                if scheme.lower() != "bearer" or not good:
                    raise ApiError(
                        401,
                        "show the server's key in the header 'Authorization: Bearer KEY'",
                        code="invalid_api_key",
                        headers={"WWW-Authenticate": "Bearer"},
                    )
            return await route(request)

        return guarded

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        why = self.jobs.refusing
        if why is None:
            return JSONResponse({"status": "ready", "within": self.jobs.within})
        return JSONResponse({"status": "not ready", "reason": why}, 503, {"Retry-After": "2"})

    async def _metrics(self, request: Request) -> Response:
        text = self.metrics.text(self.jobs.within, self.jobs.refusing is None)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    def _card(self) -> dict[str, Any]:
        return {"id": self._served, "object": "model", "created": self._created, "owned_by": "cadcoder"}

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def _model(self, request: Request) -> Response:
        if request.path_params["name"] != self._served:
            raise ApiError(404, f"there is no such model here; this is {self._served!r}", code="model_not_found")
        return JSONResponse(self._card())

    async def _chat(self, request: Request) -> Response:
        start = time.monotonic()

        def done(status: int) -> None:
            self.metrics.requests[status] += 1
            self.metrics.seconds += time.monotonic() - start
            self._log(status, "POST /v1/chat/completions", time.monotonic() - start)

        try:
            return await self._complete(request, start + self._limits.seconds, done)
        except ApiError as error:
            done(error.status)
            raise
        except ClientDisconnect:
            done(499)
            return Response(status_code=499)

    async def _complete(self, request: Request, deadline: float, done: Callable[[int], None]) -> Response:
        hold = contextlib.ExitStack()
        with contextlib.ExitStack() as held:
            held.enter_context(self.jobs.place())
            ask = parse(await self._body(request), self._served, self._own)
            check_options(self._options, ask.own)
            try:
                # Decoding takes a moment, in which the server answers others.
                image: Image.Image = await asyncio.to_thread(pictures.load, ask.picture)
            except CadCoderError as error:
                raise from_ours(error) from None
            job = self.jobs.add(ask, image)
            held.callback(self._ended, job)
            gone = asyncio.create_task(_disconnected(request))
            held.callback(gone.cancel)
            events = _events(job, gone, deadline)
            answer = Answer(self._served, __version__)
            if not ask.stream:
                choices = [what async for _, what in events if isinstance(what, Choice)]
                done(200)
                return JSONResponse(answer.whole(choices, job.usage))
            # What fails before the first sign of life is still told by its status.
            ahead = asyncio.ensure_future(anext(events, None))
            await asyncio.wait([ahead], timeout=ALIVE_SECONDS)
            if ahead.done():
                ahead.result()
            hold = held.pop_all()
        return EventStream(_sent(ask, job, answer, ahead, events), hold, done)

    def _ended(self, job: Job) -> None:
        job.stop()
        self.metrics.prompt_tokens += job.usage.prompt
        self.metrics.completion_tokens += job.usage.completion

    async def _body(self, request: Request) -> bytes:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A page of another site can make a browser send forms here, but not JSON.
            raise ApiError(415, "send the request as Content-Type: application/json", code="unsupported_media_type")
        most = self._limits.body
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise TooLarge(most)
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise TooLarge(most)
                    parts.append(part)
        except TimeoutError:
            raise ApiError(408, f"the body of the request did not come within {BODY_SECONDS:.0f} s") from None
        request.state.read = True
        return b"".join(parts)


class TooLarge(ApiError):
    """A body over the limit."""

    def __init__(self, most: int) -> None:
        super().__init__(
            413,
            f"the body of the request is larger than {most / 2**20:g} MiB; send a smaller picture",
            param="messages",
            code="request_too_large",
        )


async def _disconnected(request: Request) -> None:
    """Return when the client is gone; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(
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


async def _sent(
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


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    kind = JSONResponse if request.method == "GET" or getattr(request.state, "read", False) else Refusal
    headers = error.headers | ({"Connection": "close"} if error.status in (408, 413) else {})
    return kind(error.to_json(), error.status, headers)


async def _of_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    say = {404: f"there is nothing at {what}", 405: f"{what} is not possible; the Allow header says what is"}
    told = ApiError(error.status_code, say.get(error.status_code, error.detail), headers=dict(error.headers or {}))
    return await _told(request, told)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse(ApiError(500, "the server met an unexpected fault; its log says more").to_json(), 500)
