"""What an extrude is to a person: a plate, a boss, a pocket; its title, and the word its numbers are named with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cadcoder.program.shapes import Shape, describe
from cadcoder.program.types import Extrude, Operation, Profile

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SIDES = {3: "triangular", 5: "pentagonal", 6: "hexagonal", 8: "octagonal"}
#: An upright prism flatter than this fraction of its narrower side is a plate.
FLAT = 0.4


@dataclass(frozen=True, slots=True)
class Feature:
    """A title for the comment, and the word that names the part's numbers (empty for the base)."""

    title: str
    word: str


def feature(extrude: Extrude, index: int, through: bool) -> Feature:
    """Return what the extrude is.

    Args:
        extrude: one of a canonical program.
        index: its place in the program.
        through: whether it passes through all that was made before.
    """
    profiles = extrude.sketch.profiles
    shapes = [describe(p.outer) for p in profiles]
    kinds = {"other" if s is None else s.kind for s in shapes}
    kind = kinds.pop() if len(kinds) == 1 else "other"
    n = len(profiles)
    if index == 0:
        title = _base(extrude, shapes[0]) if n == 1 else f"{count(n)} bodies".capitalize()
        return Feature(title + _with_holes(profiles), "")
    if extrude.operation is Operation.CUT:
        return _cut(kind, shapes[0], n, through)
    if extrude.operation is Operation.INTERSECT:
        return Feature("Trim: only what lies inside this outline stays", "trim")
    if extrude.operation is Operation.NEW:
        return Feature(_several("separate body", n, "separate bodies") + _with_holes(profiles), "body")
    word = {"circle": "boss", "rect": "block", "slot": "rib", "polygon": "stud"}.get(kind, "raised")
    noun = {"raised": "raised profile"}.get(word, word)
    plural = "bosses" if word == "boss" else None
    return Feature(_several(noun, n, plural) + _with_holes(profiles), word)


def _base(extrude: Extrude, shape: Shape | None) -> str:
    height = extrude.forward + extrude.backward
    profile = extrude.sketch.profiles[0]
    x0, y0, x1, y1 = profile.outer.bounds()
    flat = height <= FLAT * min(x1 - x0, y1 - y0)
    if shape is None:
        return "Base plate" if flat else "Base profile"
    if shape.kind == "circle":
        if is_ring(profile):
            return "Ring" if height <= x1 - x0 else "Tube"
        return "Disc" if flat else "Cylinder"
    if shape.kind == "polygon":
        sides = _SIDES.get(round(shape.sizes[0]), f"{round(shape.sizes[0])}-sided")
        return f"{sides} {'plate' if flat else 'prism'}".capitalize()
    if shape.kind == "slot":
        return "Slot-shaped plate" if flat else "Slot-shaped block"
    return "Base plate" if flat else "Base block"


def is_ring(profile: Profile) -> bool:
    """Whether the profile is a disc with one hole about its centre."""
    if len(profile.holes) != 1:
        return False
    outer, hole = describe(profile.outer), describe(profile.holes[0])
    if outer is None or hole is None or outer.kind != "circle" or hole.kind != "circle":
        return False
    return math.dist(outer.center, hole.center) <= 1e-6 * outer.sizes[0]


def hole_word(shape: Shape | None) -> str:
    """Return the word for an opening of a shape."""
    kind = "other" if shape is None else shape.kind
    return {"circle": "hole", "slot": "slot", "polygon": "hole"}.get(kind, "opening")


def _with_holes(profiles: tuple[Profile, ...]) -> str:
    if len(profiles) == 1 and is_ring(profiles[0]):
        return ""
    counts: dict[str, int] = {}
    for p in profiles:
        for hole in p.holes:
            word = hole_word(describe(hole))
            counts[word] = counts.get(word, 0) + 1
    parts = [
        (f"a {w}" if w != "opening" else "an opening") if n == 1 else f"{count(n)} {w}s" for w, n in counts.items()
    ]
    return " with " + " and ".join(parts) if parts else ""


def _cut(kind: str, shape: Shape | None, n: int, through: bool) -> Feature:
    if kind == "circle":
        return Feature(_several("through hole" if through else "blind hole", n), "hole")
    if kind == "slot":
        return Feature(_several("slot", n), "slot")
    if kind == "polygon" and shape is not None:
        return Feature(_several(f"{_SIDES.get(round(shape.sizes[0]), 'polygonal')} hole", n), "hole")
    if kind == "rect":
        return Feature(_several("opening" if through else "pocket", n), "opening" if through else "pocket")
    return Feature(_several("cutout", n), "cutout")


def _several(noun: str, n: int, plural: str | None = None) -> str:
    return (noun if n == 1 else f"{count(n)} {plural or noun + 's'}").capitalize()


def count(n: int) -> str:
    """Return a number in words up to twelve."""
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)
