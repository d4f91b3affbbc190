"""What a model answers for a part, whoever it is: a script, or an outcome with a name that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from eval.suites import Item

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.sandbox import Outcome

#: Outcomes of answers that hold no script to run, and what they mean. They count as failures of the model.
NO_SCRIPT = {
    "refused": "the model would not answer",
    "empty": "the answer is empty",
    "truncated": "the answer was cut off at the longest length before the script ended",
    "no_code": "the answer holds no script",
    "unsupported": "the model cannot do this task",
}


@dataclass(frozen=True)
class Answer:
    """An answer and what it took.

    Attributes:
        code: the script; None where there is none.
        outcome: empty where there is a script to run; else one of :data:`NO_SCRIPT`, or ``harness_error`` where the
            provider failed, which is nobody's answer and is asked again next time.
        message: one line on the outcome.
        first: the first turn's script, where a later turn was asked for.
        seconds: that the model took, all calls together.
        calls: keys of the answers in the cache.
        tokens_in: of all calls.
        tokens_out: of all calls.
        cost: dollars of all calls, paid now or before; None where the price is not known.
        tries: calls made, failed ones included.
        notes: what the row should say.
        trail: what became of the drafts before the last, for repair and look.
    """

    code: str | None
    outcome: str = ""
    message: str = ""
    first: str | None = None
    seconds: float = 0.0
    calls: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal | None = Decimal(0)
    tries: int = 0
    notes: tuple[str, ...] = ()
    trail: tuple[Mapping[str, Any], ...] = field(default=())


class Means(Protocol):
    """What an answerer may use of the harness."""

    def run(self, code: str) -> Outcome:
        """Run a script in the executor."""

    def draw(self, outcome: Outcome) -> bytes:
        """Return a drawing of what a script made, as PNG."""

    def examples(self, picture: Image.Image, count: int) -> list[tuple[bytes, str]]:
        """Return the bank's parts that look most like a picture: drawings and scripts."""


class Answerer(Protocol):
    """Answers for parts, one after the other or several at once; in any order."""

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield every part with its answer; parts that the budget does not bear are left out."""

    def close(self) -> None:
        """End what was opened."""
