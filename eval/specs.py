"""Which models to measure: what ``--model`` may say, checked before anything is loaded or paid for.

A spec is a name, and options after commas: ``openai:gpt-4o,prompt=few-shot,temperature=0``. Names are ``default`` or
a checkpoint's folder; ``box`` and ``nearest``, which cost nothing; ``openai:MODEL``, ``anthropic:MODEL``,
``gemini:MODEL`` and ``openrouter:MODEL``; or the address of any server of OpenAI's chat protocol,
``http://127.0.0.1:8080/v1,model=NAME``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cadcoder.errors import ConfigError

Kind = Literal["local", "baseline", "hosted"]

BASELINES = ("box", "nearest")


@dataclass(frozen=True)
class Provider:
    """Where a hosted model answers: the protocol it speaks and the environment variables that may hold its key."""

    protocol: Literal["openai", "anthropic", "gemini"]
    keys: tuple[str, ...]
    url: str | None = None


PROVIDERS = {
    "openai": Provider("openai", ("OPENAI_API_KEY",), "https://api.openai.com/v1"),
    "anthropic": Provider("anthropic", ("ANTHROPIC_API_KEY",)),
    "gemini": Provider("gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "openrouter": Provider("openai", ("OPENROUTER_API_KEY",), "https://openrouter.ai/api/v1"),
    "server": Provider("openai", ()),
}


def _yes(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError("yes or no")
    return text.lower() == "yes"


def _price(text: str) -> tuple[str, str]:
    """Read dollars a million tokens, ``IN/OUT``; kept as text, so that money stays exact."""
    into, out = text.split("/")
    if not (0 <= float(into) < 1e6 and 0 <= float(out) < 1e6):
        raise ValueError("two prices")
    return into, out


def _whole(low: int, high: int) -> Any:
    def read(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError(f"{low} to {high}")
        return int(text)

    return read


def _number(low: float, high: float) -> Any:
    def read(text: str) -> float:
        if not low <= float(text) <= high:
            raise ValueError(f"{low:g} to {high:g}")
        return float(text)

    return read


#: Options by the kind of model: how each is read, and what it is.
OPTIONS: dict[Kind, dict[str, tuple[Any, str]]] = {
    "hosted": {
        "label": (str, "what the report calls it"),
        "model": (str, "what the server calls the model (for an address)"),
        "prompt": (str, "a file of prompts/ (or a path): paper-plus unless told otherwise"),
        "picture": (_yes, "no for models that read text alone: the picture is then left out, and the row says so"),
        "temperature": (_number(0, 2), "left to the provider unless given"),
        "max_tokens": (_whole(1, 1_000_000), "longest answer, thinking included: 4096"),
        "seed": (_whole(0, 2**31 - 1), "sent where given"),
        "at_once": (_whole(1, 256), "calls at once: 4"),
        "per_minute": (_number(0.1, 1e6), "calls begun a minute, at most"),
        "timeout": (_number(0.05, 3600), "seconds for a call: 180"),
        "tries": (_whole(1, 50), "calls until an answer comes, at most: 6"),
        "price": (_price, "dollars a million tokens, IN/OUT"),
        "key_env": (str, "environment variable that holds the key"),
        "base_url": (str, "another address for the same protocol"),
    },
    "local": {
        "label": (str, "what the report calls it"),
        "candidates": (_whole(1, 64), "scripts written a picture: 1"),
        "effort": (_whole(0, 3), "as in cadcoder generate: 2"),
        "seed": (_whole(0, 2**31 - 1), "of the sampling: 0"),
        "device": (str, "cpu, cuda or mps"),
    },
    "baseline": {"label": (str, "what the report calls it")},
}


@dataclass(frozen=True)
class Spec:
    """A model to measure.

    Attributes:
        text: as it was given.
        kind: ``local`` (a checkpoint), ``baseline`` or ``hosted``.
        provider: a key of :data:`PROVIDERS`; empty unless hosted.
        name: of the model, the checkpoint's folder, or the baseline.
        options: as :data:`OPTIONS` reads them.
        label: what the report calls it.
    """

    text: str
    kind: Kind
    provider: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    def get(self, name: str, default: Any = None) -> Any:
        """Return an option, or what it is unless given."""
        return self.options.get(name, default)

    @property
    def url(self) -> str | None:
        """Where calls go, unless it is the provider's own address."""
        return self.get("base_url") or PROVIDERS[self.provider].url

    def key(self) -> str:
        """Return the key of a hosted model from the environment; it is kept nowhere else.

        Raises:
            ConfigError: if there is none.
        """
        named = self.get("key_env")
        names = (named,) if named else PROVIDERS[self.provider].keys
        for name in names:
            if os.environ.get(name):
                return os.environ[name].strip()
        if not names:
            return "none"
        raise ConfigError(f"{self.label} needs a key: set {' or '.join(names)} in the environment")


def read_specs(texts: Sequence[str]) -> list[Spec]:
    """Return the models of a command line, with labels that differ.

    Raises:
        ConfigError: if one cannot be read; all faults at once.
    """
    faults: list[str] = []
    specs: list[Spec] = []
    for text in texts:
        try:
            specs.append(_read(text))
        except ConfigError as error:
            faults.append(str(error))
    labels = [spec.label for spec in specs]
    faults += [f"two models are called {x}; add ,label=..." for x in dict.fromkeys(labels) if labels.count(x) > 1]
    if faults:
        raise ConfigError("; ".join(faults))
    return specs


def _read(text: str) -> Spec:
    head, *rest = text.split(",")
    head = head.strip()
    kind, provider, name = _named(head)
    known = OPTIONS[kind]
    options: dict[str, Any] = {}
    faults = []
    for pair in rest:
        option, found, value = pair.partition("=")
        option = option.strip()
        if not found or option not in known:
            faults.append(f"{option or 'an empty option'} (there are {', '.join(known)})")
            continue
        try:
            options[option] = known[option][0](value.strip())
        except (ValueError, TypeError):
            faults.append(f"{pair} ({known[option][1]})")
    if faults:
        raise ConfigError(f"--model {head} has options that cannot be read: {'; '.join(faults)}")
    if provider == "server":
        options.setdefault("base_url", head.rstrip("/"))
        name = options.get("model", "")
    label = options.get("label") or _label(head, kind, name, options)
    return Spec(text, kind, provider, name, options, label)


def _named(head: str) -> tuple[Kind, str, str]:
    if head in BASELINES:
        return "baseline", "", head
    if head.startswith(("http://", "https://")):
        if not urlsplit(head).hostname:
            raise ConfigError(f"--model {head} is no address of a server")
        if urlsplit(head).password or urlsplit(head).username:
            raise ConfigError("a server's address must hold no key; name its variable with key_env=")
        return "hosted", "server", ""
    provider, found, name = head.partition(":")
    if found and provider in PROVIDERS and provider != "server":
        if not name:
            raise ConfigError(f"--model {head} names no model, as in {provider}:MODEL")
        return "hosted", provider, name
    if head == "default" or Path(head).is_dir():
        return "local", "", head
    raise ConfigError(
        f"--model {head} is none that is known: default, a checkpoint's folder, {', '.join(BASELINES)}, "
        f"{', '.join(f'{p}:MODEL' for p in PROVIDERS if p != 'server')}, or http://HOST/v1,model=NAME"
    )


def _label(head: str, kind: Kind, name: str, options: Mapping[str, Any]) -> str:
    """Return a short name: the model's, with the options that make it another thing to measure."""
    short = name or (urlsplit(head).netloc if kind == "hosted" else head)
    short = Path(short).name if kind == "local" else short
    tells = ("prompt", "temperature", "candidates", "effort", "picture")
    extra = [f"{k}={'yes' if v is True else 'no' if v is False else v}" for k, v in options.items() if k in tells]
    return f"{short} ({', '.join(extra)})" if extra else short
