"""Booleans between parts of several extrudes, as one run of extrudes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cadcoder.errors import InputError
from cadcoder.program.nesting import nest, overlapping
from cadcoder.program.regions import crossing, inside
from cadcoder.program.types import Extrude, Loop, Operation, Profile

#: A script may draw this many loops in one sketch, and hold this many extrudes.
MAX_LOOPS = 1_000


@dataclass(frozen=True)
class Body:
    """Extrudes in order: a Workplane once something was extruded.

    ``fresh`` while it is still the chain that extruded it: a ``cut`` or ``union`` there of the same sketch plane and
    ends is how ``emit`` writes loops that CadQuery cannot take in one sketch.
    """

    extrudes: tuple[Extrude, ...]
    fresh: bool = False


def combine(a: Body, b: Body, operation: Operation) -> Body:
    """Return what ``a.union(b)``, ``a.cut(b)`` or ``a.intersect(b)`` is as one run of extrudes.

    Raises:
        InputError: if no run of extrudes says the same.
    """
    if len(a.extrudes) + len(b.extrudes) > MAX_LOOPS:
        raise InputError(f"the script makes more than {MAX_LOOPS} extrudes")
    if a.fresh and len(a.extrudes) == len(b.extrudes) == 1:
        merged = _merged(a.extrudes[0], b.extrudes[0], operation)
        if merged is not None:
            return Body((merged,), fresh=True)
    first, *rest = b.extrudes
    adds = (Operation.NEW, Operation.JOIN)
    if rest and not all(e.operation in adds for e in rest):
        if operation in adds and all(e.operation in adds for e in a.extrudes):
            later = (replace(e, operation=Operation.JOIN) for e in a.extrudes)
            return Body((*b.extrudes, *later))
        raise InputError(f"a part with cuts of its own is used in {operation.value}; one extrude at a time is read")
    if rest and operation is Operation.INTERSECT:
        raise InputError("a part of several extrudes is used in intersect; one extrude at a time is read")
    later = (replace(e, operation=operation if operation is Operation.CUT else e.operation) for e in rest)
    return Body((*a.extrudes, replace(first, operation=operation), *later))


def _merged(a: Extrude, b: Extrude, operation: Operation) -> Extrude | None:
    """Return both as one extrude where they are sketches of one plane and depth: islands, or holes of the first."""
    same = (a.sketch.plane, a.forward, a.backward) == (b.sketch.plane, b.forward, b.backward)
    if not same or operation is Operation.INTERSECT:
        return None
    ours, theirs = list(a.sketch.loops()), list(b.sketch.loops())
    if any(crossing(p, q) for p in ours for q in theirs):
        return None
    if operation is Operation.CUT:
        # Each must be a plain hole: within the material, with no loop of ours in it.
        fits = all(not p.holes and _within(p.outer, a.sketch.profiles) for p in b.sketch.profiles)
        fits = fits and not any(inside(p, q) for p in ours for q in theirs)
    else:
        fits = not any(overlapping(p, q) for p in a.sketch.profiles for q in b.sketch.profiles)
    return replace(a, sketch=replace(a.sketch, profiles=nest([*ours, *theirs]))) if fits else None


def _within(loop: Loop, profiles: tuple[Profile, ...]) -> bool:
    return any(inside(loop, p.outer) and not any(inside(loop, h) for h in p.holes) for p in profiles)
