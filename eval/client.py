"""One call to a hosted model, through pydantic-ai, which speaks to every provider with the providers' own libraries.

Nothing is retried here and nothing is kept: :mod:`eval.calls` does that. What comes back is a :class:`Reply` or a
:class:`Fault` with a name; no text of an error holds the key.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

from cadcoder.errors import ConfigError, MissingDependency
from eval.specs import PROVIDERS, Spec

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """A turn of a conversation: text, and PNG files that go before it."""

    role: Role
    text: str
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Request:
    """All that an answer depends on.

    Attributes:
        provider: a key of :data:`eval.specs.PROVIDERS`.
        url: the address, where it is not the provider's own.
        model: what the provider calls it.
        messages: the conversation.
        settings: ``max_tokens`` and, where given, ``temperature`` and ``seed``.
        repeat: the same question asked again is another request.
    """

    provider: str
    url: str | None
    model: str
    messages: tuple[Message, ...]
    settings: tuple[tuple[str, Any], ...]
    repeat: int = 0

    @property
    def key(self) -> str:
        """A hash of it; the same question is paid for once, wherever its server runs today."""
        content = {
            "provider": self.provider,
            "server": self.url if self.provider == "server" else None,
            "model": self.model,
            "messages": [[m.role, m.text, [_sha(p) for p in m.pictures]] for m in self.messages],
            "settings": sorted(self.settings),
            "repeat": self.repeat,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return it for a person to read: pictures by their hash."""
        said = [{"role": m.role, "text": m.text, "pictures": [_sha(p) for p in m.pictures]} for m in self.messages]
        return {"provider": self.provider, "model": self.model, "settings": dict(self.settings), "messages": said}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True)
class Reply:
    """An answer as it came.

    Attributes:
        text: of all text parts; empty where there is none.
        finish: ``stop``, ``length``, ``refused`` or another word of the provider's.
        tokens_in: of the question, cached ones included.
        tokens_out: of the answer, thinking included.
        model: what answered, as the provider calls it.
        seconds: from question to answer.
    """

    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    model: str
    seconds: float


@dataclass(eq=False)
class Fault(Exception):
    """A call without a usable answer.

    Attributes:
        kind: ``rate_limit``, ``server_error``, ``timeout``, ``network``, ``malformed``, ``rejected`` (this question
            will never do), ``key`` or ``no_model`` (no question will).
        message: one line without the key.
        retry_after: seconds to wait that the provider named.
        status: of HTTP, 0 where there was none.
    """

    kind: str
    message: str
    retry_after: float | None = None
    status: int = 0

    @property
    def passes(self) -> bool:
        """Whether asking again may help."""
        return self.kind in ("rate_limit", "server_error", "timeout", "network", "malformed")

    @property
    def ends(self) -> bool:
        """Whether no other question to this model will do either."""
        return self.kind in ("key", "no_model")

    def __str__(self) -> str:
        return self.message


class Client:
    """Calls one model; safe to use from several threads. Close it at the end."""

    #: Whoever calls must keep the answer.
    keeps = False

    def __init__(self, spec: Spec) -> None:
        """Take the key from the environment and prepare the connection.

        Raises:
            ConfigError: if there is no key.
            MissingDependency: if pydantic-ai is not installed.
        """
        self.spec = spec
        self._key = spec.key()
        self._seconds = float(spec.get("timeout", 180.0))
        try:
            import pydantic_ai.direct  # noqa: F401
        except ImportError as error:
            raise MissingDependency(
                f"{spec.label} needs the packages of the eval extra ({error.name}): pip install '.[eval]'"
            ) from None
        # The providers' libraries log requests at lower levels; nothing of theirs may reach a log of ours.
        for name in ("openai", "anthropic", "google_genai", "google_genai.models", "httpx", "httpx2", "httpcore"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="cadcoder-client").start()
        self._close: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._model = self._run(self._open())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> Any:
        protocol = PROVIDERS[self.spec.provider].protocol
        url, name = self.spec.url, self.spec.name
        try:
            if protocol == "openai":
                from openai import AsyncOpenAI
                from pydantic_ai.models.openai import OpenAIChatModel
                from pydantic_ai.profiles.openai import OpenAIModelProfile
                from pydantic_ai.providers.openai import OpenAIProvider

                client = AsyncOpenAI(api_key=self._key, base_url=url, max_retries=0, timeout=self._seconds)
                self._close = client.close
                if not name:
                    name = await self._only_model(client)
                # Servers of the protocol that are not OpenAI's know the older name of the longest length.
                older = self.spec.provider == "server"
                profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=not older)
                return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client), profile=profile)
            if protocol == "anthropic":
                from anthropic import AsyncAnthropic
                from pydantic_ai.models.anthropic import AnthropicModel
                from pydantic_ai.providers.anthropic import AnthropicProvider

                claude = AsyncAnthropic(api_key=self._key, base_url=url, max_retries=0, timeout=self._seconds)
                self._close = claude.close
                return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=claude))
            from google.genai.types import HttpRetryOptions
            from pydantic_ai.models.google import GoogleModel
            from pydantic_ai.providers.google import GoogleProvider

            once = HttpRetryOptions(attempts=1)
            return GoogleModel(name, provider=GoogleProvider(api_key=self._key, base_url=url, retry_options=once))
        except ImportError as error:
            raise MissingDependency(f"{self.spec.label} needs the packages of the eval extra ({error.name})") from None

    async def _only_model(self, client: Any) -> str:
        try:
            names = [model.id async for model in await client.models.list()]
        except Exception as error:
            raise ConfigError(f"{self.spec.url} cannot be asked for its models: {self._clean(error)}") from None
        if len(names) != 1:
            raise ConfigError(f"{self.spec.url} serves {', '.join(names) or 'no model'}; name one with ,model=")
        return str(names[0])

    @property
    def model(self) -> str:
        """What the provider calls the model."""
        return str(self._model.model_name)

    def ask(self, request: Request, attempt: int = 1) -> Reply:
        """Put one question and return the answer.

        Raises:
            Fault: if there is none that can be used.
        """
        start = time.perf_counter()
        try:
            response = self._run(asyncio.wait_for(self._ask(request), self._seconds + 1.0))
        except Fault:
            raise
        except Exception as error:  # every library has errors of its own
            refused = self._refused(error)
            if refused is None:
                raise self._fault(error) from None
            return Reply("", "refused", *refused, self.model, time.perf_counter() - start)
        text = "".join(p.content for p in response.parts if p.part_kind == "text" and isinstance(p.content, str))
        details = response.provider_details or {}
        raw = str(details.get("finish_reason", "")).lower()
        finish = str(response.finish_reason or raw or "stop")
        if finish == "content_filter" or raw in ("refusal", "safety") or details.get("refusal"):
            finish = "refused"
        usage = response.usage
        seconds = time.perf_counter() - start
        model = str(response.model_name or self.model)
        return Reply(text, finish, int(usage.input_tokens), int(usage.output_tokens), model, seconds)

    async def _ask(self, request: Request) -> Any:
        from pydantic_ai.direct import model_request

        settings: Any = {**dict(request.settings), "timeout": self._seconds}
        return await model_request(self._model, _told(request.messages), model_settings=settings)

    def _refused(self, error: Exception) -> tuple[int, int] | None:
        """Return the tokens of a refusal that a library raises as an error; None where it is another error."""
        from pydantic_ai.exceptions import ContentFilterError

        if not isinstance(error, ContentFilterError):
            return None
        return _usage_in(getattr(error, "body", None))

    def _fault(self, error: Exception) -> Fault:
        from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError

        message = self._clean(error)
        if isinstance(error, ModelHTTPError):
            status, wait = error.status_code, error.retry_after
            headers = error.headers or {}
            if wait is None and headers.get("retry-after", "").replace(".", "", 1).isdigit():
                wait = float(headers["retry-after"])
            if status == 429:
                return Fault("rate_limit", message, wait, status)
            if status in (408, 409, 425) or status >= 500:
                return Fault("timeout" if status in (408, 504) else "server_error", message, wait, status)
            if status in (401, 403):
                return Fault("key", message, None, status)
            return Fault("no_model" if status == 404 else "rejected", message, None, status)
        names = {type(e).__name__ for e in _chain(error)}
        if any("timeout" in n.lower() for n in names):
            return Fault("timeout", message or f"no answer within {self._seconds:g} s")
        if any(
            isinstance(e, OSError) or "Connect" in type(e).__name__ or "Protocol" in type(e).__name__
            for e in _chain(error)
        ):
            return Fault("network", message)
        # An answer that is no JSON is an API error of pydantic-ai like any other; only its words tell.
        broken = "decode" in message.lower() or not isinstance(error, ModelAPIError)
        return Fault("malformed" if broken else "network", message)

    def _clean(self, error: BaseException) -> str:
        """Return an error as one line that does not hold the key."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return scrub(text, self._key)[:300]

    def close(self) -> None:
        """End the connection."""
        if self._close is not None:
            self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)


def record(request: Request, reply: Reply, cost: Decimal | None, tries: int) -> dict[str, Any]:
    """Return what is kept of an answer."""
    return {
        "key": request.key,
        "request": request.to_json(),
        "reply": asdict(reply),
        "cost": None if cost is None else str(cost),
        "tries": tries,
        "time": round(time.time(), 3),
    }


def scrub(text: str, key: str) -> str:
    """Return a text without the key, or any long piece of it."""
    if len(key) < 6:
        return text
    text = text.replace(key, "[key]")
    # Providers quote the two ends of a wrong key.
    for piece in (key[:12], key[-8:]) if len(key) >= 16 else ():
        text = text.replace(piece, "[key]")
    return text


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _usage_in(body: Any) -> tuple[int, int]:
    """Return the tokens in and out that an answer in JSON names, in any provider's words."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return 0, 0
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return 0, 0
    usage = body.get("usage") or body.get("usage_metadata") or body.get("usageMetadata") or {}
    if not isinstance(usage, dict):
        return 0, 0
    names_in = ("input_tokens", "prompt_tokens", "prompt_token_count", "promptTokenCount")
    names_out = ("output_tokens", "completion_tokens", "candidates_token_count", "candidatesTokenCount")
    return (
        next((int(usage[n]) for n in names_in if usage.get(n) is not None), 0),
        next((int(usage[n]) for n in names_out if usage.get(n) is not None), 0),
    )


def _told(messages: Sequence[Message]) -> list[Any]:
    """Return a conversation in pydantic-ai's words."""
    from pydantic_ai.messages import (
        BinaryContent,
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )

    told: list[Any] = []
    parts: list[Any] = []
    for message in messages:
        if message.role == "assistant":
            told += [ModelRequest(parts=parts), ModelResponse(parts=[TextPart(message.text)])]
            parts = []
        elif message.role == "system":
            parts.append(SystemPromptPart(message.text))
        else:
            shown = [BinaryContent(picture, media_type="image/png") for picture in message.pictures]
            parts.append(UserPromptPart([*shown, message.text] if shown else message.text))
    return [*told, ModelRequest(parts=parts)] if parts else told
