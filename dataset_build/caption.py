"""One plain English line about a part, made from its program: ``plate 100 x 60 x 10 with 4 holes``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from cadcoder.program.types import Extrude, Operation, Profile, Program
from dataset_build.loop_kinds import loop_kind

_PRISMS = {
    "L": "L-shaped part",
    "T": "T-shaped part",
    "U": "U-shaped part",
    "Z": "Z-shaped part",
    "staircase": "stepped part",
    "triangle": "triangular prism",
    "trapezoid": "trapezoidal prism",
    "parallelogram": "slanted block",
    "slot": "slot-shaped plate",
    "disc segment": "disc segment",
}
_SIDES = {3: "triangular", 5: "pentagonal", 6: "hexagonal", 8: "octagonal"}


def caption(program: Program, extents: Sequence[float], bodies: int = 1) -> str:
    """Return one line: what the part is, its size, and what it has.

    Args:
        program: the part.
        extents: lengths of its axis-aligned box, in the unit of the numbers to be written.
        bodies: how many separate bodies it has.
    """
    first, *later = program.extrudes
    sizes = sorted((float(v) for v in extents), reverse=True)
    head = f"{_noun(first, sizes)} {' x '.join(f'{v:.4g}' for v in sizes)}"
    features: Counter[str] = Counter()
    for profile in first.sketch.profiles:
        _count_holes(features, profile)
    for e in later:
        for profile in e.sketch.profiles:
            features[_feature(e, profile)] += 1
            if e.operation is not Operation.CUT:
                _count_holes(features, profile)
    parts = [_counted(n, what) for what, n in features.items() if n]
    text = head
    if parts:
        text += " with " + (parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1])
    return text if bodies < 2 else f"{text}, in {bodies} separate bodies"


def _count_holes(features: Counter[str], profile: Profile) -> None:
    if _is_ring(profile):
        return
    for hole in profile.holes:
        features["hole" if hole.is_circle else _named_opening(loop_kind(hole))] += 1


def _is_ring(profile: Profile) -> bool:
    """Whether the profile is a disc with one hole in its middle."""
    if len(profile.holes) != 1 or not profile.outer.is_circle or not profile.holes[0].is_circle:
        return False
    a, b = profile.outer.bounds(), profile.holes[0].bounds()
    return math.dist((a[0] + a[2], a[1] + a[3]), (b[0] + b[2], b[1] + b[3])) < 1e-3 * (a[2] - a[0])


def _named_opening(kind: str) -> str:
    if kind in ("rectangle", "rounded rectangle", "slot", "triangle"):
        return {"rectangle": "rectangular opening", "triangle": "triangular opening"}.get(kind, f"{kind} opening")
    return "opening"


def _noun(first: Extrude, sizes: Sequence[float]) -> str:
    """Return what the first extrude looks like; ``sizes`` are the whole part's, longest first."""
    depth = first.forward + first.backward
    profile = first.sketch.profiles[0]
    if len(first.sketch.profiles) > 1:
        return f"{len(first.sketch.profiles)} prisms"
    x0, y0, x1, y1 = profile.outer.bounds()
    long, short = max(x1 - x0, y1 - y0), min(x1 - x0, y1 - y0)
    kind = loop_kind(profile.outer)
    if kind == "circle":
        if _is_ring(profile):
            return "ring" if depth < 0.5 * long else "tube"
        return "disc" if depth < 0.3 * long else "rod" if depth > 3 * long else "cylinder"
    if kind in ("rectangle", "rounded rectangle", "turned rectangle"):
        rounded = "rounded " if kind == "rounded rectangle" else ""
        if len(profile.holes) == 1 and min(short, depth) > 0 and loop_kind(profile.holes[0]) == kind:
            return rounded + ("frame" if depth < 0.5 * short else "box tube")
        a, b, c = sorted((long, short, depth), reverse=True)
        if c > 0.99 * a and kind == "rectangle" and sizes[2] > 0.99 * sizes[0]:
            return "cube"
        if b < 0.3 * a:
            return rounded + "bar"
        return rounded + ("plate" if c < 0.2 * b else "block")
    if kind == "regular polygon":
        n = len(profile.outer.curves)
        return f"{_SIDES.get(n, f'{n}-sided')} prism"
    if kind in _PRISMS:
        return _PRISMS[kind]
    return "plate of free outline" if depth < 0.2 * short else "profile" if depth > 3 * long else "prism"


def _feature(e: Extrude, profile: Profile) -> str:
    """Return what a later extrude's profile adds or removes."""
    kind = loop_kind(profile.outer)
    if e.operation is Operation.INTERSECT:
        return "trimmed outline"
    if e.operation is Operation.CUT:
        return (
            "hole"
            if kind == "circle"
            else "rectangular cut"
            if kind == "rectangle"
            else "slot"
            if kind == "slot"
            else "cut"
        )
    depth = e.forward + e.backward
    x0, y0, x1, y1 = profile.outer.bounds()
    if kind == "circle":
        if _is_ring(profile):
            return "ring" if depth < 0.5 * (x1 - x0) else "tube"
        return "round boss" if depth < 1.5 * (x1 - x0) else "pin"
    if kind == "rectangle":
        a, b, c = sorted((x1 - x0, y1 - y0, depth), reverse=True)
        return "bar" if b < 0.3 * a else "plate" if c < 0.2 * b else "block"
    return "raised part"


def _counted(n: int, what: str) -> str:
    if n == 1:
        return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
    return f"{n} {what}{'es' if what.endswith(('s', 'x')) else 's'}"
