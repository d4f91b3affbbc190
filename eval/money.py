"""What calls cost: prices, an estimate before the first one, and a budget that is not overrun.

Prices come from ``price=IN/OUT`` of a model, else from the table of ``genai-prices`` (which comes with pydantic-ai and
lies on the disk). Sums are exact decimals.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from cadcoder.errors import ConfigError
from eval.client import Message
from eval.prompting import Prompt
from eval.specs import Spec

#: What estimates take a token, a picture of 448 pixels and a usual answer to be; on the safe side for all providers.
LETTERS_A_TOKEN, PICTURE_TOKENS, ANSWER_TOKENS = 3.5, 800, 700
#: The longest answer unless told otherwise.
MAX_TOKENS = 4096

_MILLION = Decimal(1_000_000)
#: What genai-prices calls our providers.
_TABLE = {"openai": "openai", "anthropic": "anthropic", "gemini": "google", "openrouter": "openrouter"}


@dataclass(frozen=True)
class Price:
    """Dollars a million tokens; None where they are not known."""

    into: Decimal | None
    out: Decimal | None

    @property
    def known(self) -> bool:
        """Whether cost can be told."""
        return self.into is not None

    @property
    def free(self) -> bool:
        """Whether calls cost nothing."""
        return self.into == 0 and self.out == 0

    def of(self, tokens_in: int, tokens_out: int) -> Decimal | None:
        """Return the dollars of a call."""
        if self.into is None or self.out is None:
            return None
        return (self.into * tokens_in + self.out * tokens_out) / _MILLION


def price_of(spec: Spec) -> Price:
    """Return what a model costs. A server on this machine costs nothing unless ``price=`` says otherwise."""
    if spec.kind != "hosted":
        return Price(Decimal(0), Decimal(0))
    given = spec.get("price")
    if given:
        return Price(Decimal(given[0]), Decimal(given[1]))
    if spec.provider == "server":
        here = urlsplit(spec.url or "").hostname in ("localhost", "127.0.0.1", "::1", "0.0.0.0")
        return Price(Decimal(0), Decimal(0)) if here else Price(None, None)
    try:
        from genai_prices import Usage, calc_price

        # Of a thousand tokens: prices may rise with the length of a question, and ours are short.
        one = calc_price(Usage(input_tokens=1000), model_ref=spec.name, provider_id=_TABLE[spec.provider])
        two = calc_price(Usage(output_tokens=1000), model_ref=spec.name, provider_id=_TABLE[spec.provider])
    except (ImportError, LookupError, ValueError):
        return Price(None, None)
    return Price(one.total_price * 1000, two.total_price * 1000)


def tokens_of(messages: Sequence[Message]) -> int:
    """Return about how many tokens a question has."""
    letters = sum(len(m.text) for m in messages)
    return int(letters / LETTERS_A_TOKEN) + PICTURE_TOKENS * sum(len(m.pictures) for m in messages) + 20


@dataclass(frozen=True)
class Estimate:
    """What a model will take, before the first call: each figure as a rule and at most."""

    label: str
    parts: int
    calls: tuple[int, int]
    tokens_in: tuple[int, int]
    tokens_out: tuple[int, int]
    dollars: tuple[Decimal | None, Decimal | None]

    def line(self) -> str:
        """Return it for a person."""
        if self.dollars[0] is None or self.dollars[1] is None:
            money = "price not known (give ,price=IN/OUT)"
        else:
            money = f"about ${self.dollars[0]:.2f}, at most ${self.dollars[1]:.2f}"
        return (
            f"{self.label}: {self.parts} parts, {_range(self.calls)} calls, {_range(self.tokens_in)} tokens in, "
            f"{_range(self.tokens_out)} out; {money}"
        )


def _range(two: tuple[int, int]) -> str:
    return f"{two[0]:,}" if two[0] == two[1] else f"{two[0]:,} to {two[1]:,}"


def estimate(spec: Spec, prompt: Prompt, turns: Sequence[str], parts: int, pictures: float = 1.0) -> Estimate:
    """Return what a hosted model will take for the parts that are not answered yet.

    Args:
        spec: the model.
        prompt: how it is asked.
        turns: later turns of a conversation (texts).
        parts: how many parts.
        pictures: of a part, on average.
    """
    shown = pictures if spec.get("picture", True) else 0.0
    usual, most = prompt.calls
    longest = int(spec.get("max_tokens", MAX_TOKENS))
    first = (len(prompt.system) + len(prompt.user)) / LETTERS_A_TOKEN + shown * PICTURE_TOKENS + 20
    first += prompt.examples * (PICTURE_TOKENS * bool(shown) + 350)
    later = sum(len(t) for t in turns) / LETTERS_A_TOKEN
    calls = (usual + len(turns), most + len(turns))

    def tokens(count: int, answer: int) -> int:
        # Every later call holds what was said before: the question, the answers, and what is sent back.
        return int(
            count * first + sum(i * (answer + 300 + PICTURE_TOKENS * (prompt.looks > 0)) for i in range(count)) + later
        )

    into = (parts * tokens(calls[0], ANSWER_TOKENS), parts * tokens(calls[1], ANSWER_TOKENS))
    out = (parts * calls[0] * min(ANSWER_TOKENS, longest), parts * calls[1] * longest)
    price = price_of(spec)
    return Estimate(
        spec.label,
        parts,
        (parts * calls[0], parts * calls[1]),
        into,
        out,
        (price.of(into[0], out[0]), price.of(into[1], out[1])),
    )


class OverBudget(Exception):
    """The budget does not bear another call."""


class Budget:
    """Dollars that may be spent. A call is begun only if the budget bears the longest answer that it may bring."""

    def __init__(self, dollars: Decimal | None, spent: Decimal = Decimal(0)) -> None:
        """Take the limit, None for none, and what was spent before."""
        self.dollars, self.spent, self._held = dollars, spent, Decimal(0)
        self._changed = threading.Condition()
        self.stopped = False

    def hold(self, most: Decimal | None) -> Decimal:
        """Set aside what a call may cost at most; waits where calls in flight may turn out cheaper than set aside.

        Raises:
            OverBudget: if that is too much.
        """
        most = most or Decimal(0)
        with self._changed:
            while self.dollars is not None and most and self.spent + self._held + most > self.dollars:
                if self.stopped or not self._held or self.spent + most > self.dollars:
                    self.stopped = True
                    self._changed.notify_all()
                    raise OverBudget
                self._changed.wait(1.0)
            self._held += most
        return most

    def settle(self, held: Decimal, cost: Decimal | None) -> None:
        """Replace what was set aside by what it cost."""
        with self._changed:
            self._held -= held
            self.spent += cost or Decimal(0)
            self._changed.notify_all()


def read_budget(text: str | None) -> Decimal | None:
    """Read ``--budget``: dollars, or ``none``.

    Raises:
        ConfigError: if it is neither.
    """
    if text is None or text == "none":
        return None
    try:
        value = Decimal(text.lstrip("$"))
    except ArithmeticError:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise ConfigError(f"--budget must be dollars, such as 2.50, or none, not {text}")
    return value


def dollars(value: Any) -> Decimal:
    """Return the money of a row or an answer; 0 where there is none."""
    return Decimal(str(value)) if value is not None else Decimal(0)
