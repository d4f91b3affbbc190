"""The HTTP side: routes, limits, and answers whole or as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
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
from cadcoder.serve.protocol import Answer, Choice, parse
from cadcoder.serve.responses import ALIVE_SECONDS, EventStream, Refusal, disconnected, events_of, sent
from cadcoder.serve.work import check, known_fields

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.pipeline import Options

#: Seconds in which a request's body must have come.
BODY_SECONDS = 30.0

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
            check(self._options, ask)
            try:
                # Decoding takes a moment, in which the server answers others.
                images: list[Image.Image] = await asyncio.to_thread(_load, ask.pictures)
            except CadCoderError as error:
                raise from_ours(error) from None
            job = self.jobs.add(ask, images)
            held.callback(self._ended, job)
            gone = asyncio.create_task(disconnected(request))
            held.callback(gone.cancel)
            events = events_of(job, gone, deadline)
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
        return EventStream(sent(ask, job, answer, ahead, events), hold, done)

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


def _load(files: Sequence[bytes]) -> list[Image.Image]:
    return [pictures.load(file) for file in files]


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
