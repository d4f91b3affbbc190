"""Requests and answers of ``POST /v1/chat/completions``.

The model knows one task and was trained with one prompt, so text in a request is accepted and not read. What would
change the answer if it were obeyed (tools, JSON schemas, stop words, ...) is refused and not ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cadcoder.serve.errors import ApiError

#: Most choices a request, most candidates a choice, most pictures of a part.
MOST_CHOICES, MOST_CANDIDATES, MOST_PICTURES = 16, 64, 8
#: Fields that must be absent or have one of these values.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "tools": (None, []),
    "functions": (None, []),
    "tool_choice": (None, "none", "auto"),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "stop": (None, [], ""),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
}
#: Fields of our own, inside ``cadcoder``, and their types; :class:`cadcoder.pipeline.Options` says what they mean.
OWN: dict[str, tuple[type, ...]] = {
    "candidates": (int,),
    "effort": (int,),
    "refine": (bool,),
    "size": (str, int, float),
    "style": (str,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request asks for.

    Attributes:
        pictures: the pictures' files, as bytes; several are of the same part.
        n: number of choices.
        seed: of the sampling, from 0.
        temperature: None starts from the greedy script, and further choices are sampled; 0 is greedy throughout; above
            0 all are sampled.
        top_p: share of the probability that tokens are drawn from.
        max_tokens: longest script that the model may write.
        stream: whether the answer is sent in pieces.
        include_usage: whether the stream ends with the token counts.
        own: values of the fields of our own that were given.
    """

    pictures: tuple[bytes, ...] = field(repr=False)
    n: int = 1
    seed: int = 0
    temperature: float | None = None
    top_p: float = 0.95
    max_tokens: int | None = None
    stream: bool = False
    include_usage: bool = False
    own: dict[str, Any] = field(default_factory=dict)


def parse(body: bytes, served: str, own: frozenset[str]) -> Ask:
    """Read the body of a request.

    Args:
        body: JSON.
        served: name of the model.
        own: the fields of our own that this server knows.

    Raises:
        ApiError: with status 400, or 404 for another model.
    """
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "the body of the request is not valid JSON", code="invalid_json") from None
    if not isinstance(tree, dict):
        raise ApiError(400, "the body of the request must be a JSON object", code="invalid_json")
    model = tree.get("model")
    if not isinstance(model, str):
        raise ApiError(400, f"name the model: {served!r}", param="model")
    if model != served:
        raise ApiError(
            404, f"there is no model {model[:100]!r} here; this is {served!r}", param="model", code="model_not_found"
        )
    for name, neutral in _NEUTRAL.items():
        if not any(tree.get(name) == v and isinstance(tree.get(name), bool) == isinstance(v, bool) for v in neutral):
            raise ApiError(400, f"{name} is not supported: the model writes one CadQuery script", param=name)
    most = _number(tree, "max_completion_tokens", int, 1, 2**31)
    if most is None:
        most = _number(tree, "max_tokens", int, 1, 2**31)
    top_p = _number(tree, "top_p", float, 0, 1)
    options = tree.get("stream_options") or {}
    if not isinstance(options, dict):
        raise ApiError(400, "stream_options must be an object", param="stream_options")
    return Ask(
        pictures=_pictures(tree.get("messages")),
        n=_number(tree, "n", int, 1, MOST_CHOICES) or 1,
        # OpenAI's seeds may be negative; any whole number names a stream of random numbers.
        seed=int(_number(tree, "seed", int, -(2**63), 2**63 - 1) or 0) % 2**63,
        temperature=_number(tree, "temperature", float, 0, 2),
        top_p=0.95 if top_p is None else max(top_p, 1e-6),
        max_tokens=most,
        stream=_flag(tree, "stream"),
        include_usage=_flag(options, "include_usage"),
        own=_own(tree.get("cadcoder"), own),
    )


def _number(tree: dict[str, Any], name: str, kind: type, low: float, high: float) -> Any:
    value = tree.get(name)
    if value is None:
        return None
    good = isinstance(value, int) or (kind is float and isinstance(value, float) and math.isfinite(value))
    if not good or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise ApiError(400, f"{name} must be {what} from {low} to {high}", param=name)
    return kind(value)


def _flag(tree: dict[str, Any], name: str) -> bool:
    value = tree.get(name)
    if value is not None and not isinstance(value, bool):
        raise ApiError(400, f"{name} must be true or false", param=name)
    return bool(value)


def _own(tree: Any, known: frozenset[str]) -> dict[str, Any]:
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not tree.keys() <= known:
        raise ApiError(400, f"cadcoder must be an object with some of {', '.join(sorted(known))}", param="cadcoder")
    for name, value in tree.items():
        kinds = OWN[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(k.__name__ for k in kinds)
            raise ApiError(400, f"cadcoder.{name} must be {wanted}", param="cadcoder")
    if tree.get("candidates", 1) > MOST_CANDIDATES:
        raise ApiError(400, f"cadcoder.candidates must be at most {MOST_CANDIDATES}", param="cadcoder")
    return dict(tree)


def _pictures(messages: Any) -> tuple[bytes, ...]:
    """Return the pictures of the last message of the user."""
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise ApiError(400, "messages must be a list of messages", param="messages")
    last = next((m for m in reversed(messages) if m.get("role") == "user"), None)
    content = last.get("content") if last is not None else None
    parts = content if isinstance(content, list) else []
    urls = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "image_url":
            image = part["image_url"] if "image_url" in part else None
            urls.append(image.get("url") if isinstance(image, dict) else image)
        elif kind != "text":
            raise ApiError(400, "a part of a message's content must be of type text or image_url", param="messages")
    if not 1 <= len(urls) <= MOST_PICTURES:
        raise ApiError(
            400,
            f"the last user message has {len(urls) or 'no'} pictures; give 1 to {MOST_PICTURES} of the same part,"
            " each as a part of type image_url with a data: URL",
            param="messages",
            code="invalid_image",
        )
    return tuple(_decode(url) for url in urls)


def _decode(url: Any) -> bytes:
    if not isinstance(url, str) or not url[:5].lower() == "data:":
        raise ApiError(
            400,
            "image_url must be a data: URL (data:image/png;base64,...); this server fetches nothing from elsewhere",
            param="messages",
            code="invalid_image_url",
        )
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ApiError(400, "a data: URL must be base64: data:image/png;base64,...", param="messages")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, "the data: URL is not valid base64", param="messages", code="invalid_image_url") from None


@dataclass(slots=True)
class Usage:
    """Tokens: of the prompt with its picture, and all that the model wrote for the answer, candidates included."""

    prompt: int = 0
    completion: int = 0

    def to_json(self) -> dict[str, int]:
        """Return OpenAI's ``usage``."""
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished answer: the script, why it ended (``stop`` or ``length``), and what we know of it."""

    text: str
    finish: str
    facts: dict[str, Any]


class Answer:
    """The JSON of one answer, whole or in pieces."""

    def __init__(self, served: str, version: str) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": served,
            "system_fingerprint": f"cadcoder-{version}",
        }

    def whole(self, choices: list[Choice], usage: Usage) -> dict[str, Any]:
        """Return a ``chat.completion``."""
        listed = [
            {
                "index": i,
                "message": {"role": "assistant", "content": c.text, "refusal": None},
                "logprobs": None,
                "finish_reason": c.finish,
                "cadcoder": c.facts,
            }
            for i, c in enumerate(choices)
        ]
        return {**self._head, "object": "chat.completion", "choices": listed, "usage": usage.to_json()}

    def begin(self, index: int) -> dict[str, Any]:
        """Return the first chunk of a choice."""
        return self._chunk(index, {"role": "assistant", "content": ""})

    def piece(self, index: int, text: str) -> dict[str, Any]:
        """Return a chunk with a piece of a choice's text."""
        return self._chunk(index, {"content": text})

    def end(self, index: int, choice: Choice) -> dict[str, Any]:
        """Return the last chunk of a choice."""
        return self._chunk(index, {}, choice.finish, {"cadcoder": choice.facts})

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Return the chunk with the token counts, which has no choices."""
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage.to_json()}

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None = None, more: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **(more or {})}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
