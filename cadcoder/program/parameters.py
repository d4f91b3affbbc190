"""Named numbers, and places as sums of them: what the editable style writes instead of bare numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

#: Names that a script uses for something else.
RESERVED = frozenset(["cq", "math", "result", "solid", "part", "r"])
#: A number is written with fewer digits where that changes it by less than this fraction of the part's size.
TIDY = 1e-6


@dataclass(frozen=True)
class Sum:
    """A sum of named numbers times factors, and a constant: ``width / 2 - edge``."""

    terms: tuple[tuple[str, float], ...] = ()
    constant: float = 0.0

    @staticmethod
    def of(name: str, factor: float = 1.0) -> Sum:
        """Return one named number times a factor."""
        return Sum(((name, factor),))

    def __add__(self, other: Sum) -> Sum:
        factors = dict(self.terms)
        for name, factor in other.terms:
            factors[name] = factors.get(name, 0.0) + factor
        return Sum(tuple((n, f) for n, f in factors.items() if f != 0), self.constant + other.constant)

    def __mul__(self, factor: float) -> Sum:
        return Sum(tuple((n, f * factor) for n, f in self.terms), self.constant * factor)

    def __sub__(self, other: Sum) -> Sum:
        return self + other * -1.0


@dataclass
class Parameters:
    """The named numbers of a script, in the order in which they were asked for.

    Args:
        size: the part's size, to which rounding is relative.
        step: round every number to a multiple of this; None keeps what matters.
    """

    size: float
    step: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))
    _roles: dict[str, list[str]] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """How far a written number may be from the program's."""
        return max(TIDY * self.size, 0.0 if self.step is None else self.step / 2)

    def tidy(self, value: float) -> float:
        """Return the number with as few decimals as leave it within the tolerance."""
        if self.step is not None:
            value = round(round(value / self.step) * self.step, 9)
        for decimals in range(12):
            rounded = round(value, decimals)
            if abs(rounded - value) <= TIDY * self.size:
                return rounded + 0.0
        return value

    def text(self, value: float) -> str:
        """Return a bare number as it is written."""
        value = self.tidy(value)
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

    def name(self, role: str, value: float, note: str = "") -> str:
        """Return the name of a number: that of an equal one of the same role, or a new one."""
        value = self.tidy(value)
        for known in self._roles.setdefault(role, []):
            if self.values[known] == value:
                return known
        name = self.fresh(role)
        self._roles[role].append(name)
        self.values[name] = value
        if note:
            self.notes[name] = note
        return name

    def fresh(self, wanted: str) -> str:
        """Return a name that nothing else has: the wanted one, or that with a number after its first word."""
        head, _, tail = wanted.partition("_")
        name, k = wanted, 2
        while name in self.taken:
            name = f"{head}_{k}" + (f"_{tail}" if tail else "")
            k += 1
        self.taken.add(name)
        return name

    def value(self, total: Sum) -> float:
        """Return what a sum comes to."""
        return total.constant + sum(self.values[n] * f for n, f in total.terms)

    def near(self, total: Sum, value: float) -> bool:
        """Whether a sum comes to a value, but for rounding."""
        return abs(self.value(total) - value) <= 2.0 * self.tolerance

    def write(self, total: Sum) -> str:
        """Return the sum as an expression."""
        ordered = sorted(total.terms, key=lambda term: term[1] < 0)
        text = ""
        for name, factor in ordered:
            term = self._term(name, abs(factor))
            sign = "-" if factor < 0 else "+"
            text += f" {sign} {term}" if text else f"{'-' if factor < 0 else ''}{term}"
        if total.constant != 0 or not text:
            constant = self.text(abs(total.constant))
            sign = "-" if total.constant < 0 else "+"
            text += f" {sign} {constant}" if text else f"{'-' if total.constant < 0 else ''}{constant}"
        return text

    def _term(self, name: str, factor: float) -> str:
        if factor == 1:
            return name
        if factor == 0.5:
            return f"{name} / 2"
        return f"{self.text(factor)} * {name}"

    def lines(self) -> list[str]:
        """Return the assignments, each with its note."""
        out = []
        for name, value in self.values.items():
            note = f"  # {self.notes[name]}" if name in self.notes else ""
            out.append(f"{name} = {self.text(value)}{note}")
        return out


Place: TypeAlias = tuple[float, Sum]


@dataclass
class Levels:
    """Where the faces made so far lie along the world's axes, as sums: what later places are written in."""

    parameters: Parameters
    known: tuple[list[Place], list[Place], list[Place]] = field(default_factory=lambda: ([], [], []))

    def add(self, axis: int, value: float, total: Sum) -> None:
        """Remember a face."""
        if self.parameters.near(total, value):
            self.known[axis].append((value, total))

    def find(self, axis: int, value: float) -> Sum | None:
        """Return the sum for a place along an axis, or None where no face lies there."""
        if abs(value) <= self.parameters.tolerance:
            return Sum()
        for at, total in self.known[axis]:
            if abs(at - value) <= self.parameters.tolerance and self.parameters.near(total, value):
                return total
        return None

    def half(self, axis: int) -> Sum | None:
        """Return half the part's extent along an axis it is symmetric about, or None."""
        ends = [at for at, _ in self.known[axis]]
        if not ends or abs(max(ends) + min(ends)) > self.parameters.tolerance:
            return None
        return self.find(axis, max(ends))

    def span(self, axis: int) -> tuple[float, float]:
        """Return the least and greatest known place along an axis."""
        ends = [at for at, _ in self.known[axis]]
        return (min(ends), max(ends)) if ends else (0.0, 0.0)
