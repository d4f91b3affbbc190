"""Fewer and rounder extrudes for the same solid: equal sketches become one, extents lose their offsets.

What :func:`cadcoder.program.canonical.canonical` keeps as it was drawn is decided here by what is shortest to say.
"""

from __future__ import annotations

from dataclasses import replace

from cadcoder.program.canonical import canonical
from cadcoder.program.emit import standard_name
from cadcoder.program.regions import coincide
from cadcoder.program.types import Extrude, Operation, Plane, Program

#: Ends closer than this fraction of an extrude's length are one.
SAME = 1e-9
#: A number that is written with so many characters is round.
SHORT = 8


def compact(program: Program) -> Program:
    """Return the program in canonical form, with runs of one sketch as one extrude, and extents as short as can be.

    An extrude on a standard plane is symmetric where it reaches equally far to both sides of the coordinate plane,
    begins or ends on that plane where it does, and else begins on a plane of its own.
    """
    return Program(tuple(map(_based, merged(canonical(program)).extrudes)))


def merged(program: Program) -> Program:
    """Return the canonical program with neighbouring extrudes of one sketch as one, where their extents meet."""
    out: list[Extrude] = []
    for e in program.extrudes:
        both = _merged(out[-1], e) if out else None
        if both is None:
            out.append(e)
        else:
            out[-1] = both
    return Program(tuple(out))


def _merged(a: Extrude, b: Extrude) -> Extrude | None:
    """Return two extrudes of one sketch as one, where their extents meet and they do the same; else None."""
    same = a.operation is b.operation or (a.operation is Operation.NEW and b.operation is Operation.JOIN)
    if not same or a.operation is Operation.INTERSECT or not _one_sketch(a, b):
        return None
    rise = _height(b.sketch.plane) - _height(a.sketch.plane)
    slack = SAME * (a.forward + a.backward + b.forward + b.backward)
    if rise - b.backward > a.forward + slack or -a.backward > rise + b.forward + slack:
        return None
    ends = max(a.forward, tidy(rise + b.forward)), max(a.backward, tidy(b.backward - rise))
    return replace(a, forward=ends[0], backward=ends[1])


def tidy(value: float) -> float:
    """Return a sum or difference without its last bits where that makes it short, so that 0.1 + 0.2 is 0.3.

    Other numbers stay what they are to the last bit.
    """
    short = float(f"{value:.12g}") + 0.0
    return short if len(repr(short)) <= SHORT else value


def _one_sketch(a: Extrude, b: Extrude) -> bool:
    p, q = a.sketch.plane, b.sketch.plane
    if (p.x_dir, p.normal) != (q.x_dir, q.normal):
        return False
    if p.origin != q.origin and standard_name(p) is None:
        return False  # on an oblique plane only where it stays in its place
    ours, theirs = a.sketch.profiles, b.sketch.profiles
    return len(ours) == len(theirs) and all(
        len(v.holes) == len(w.holes) and all(coincide(x, y) for x, y in zip(v.loops(), w.loops(), strict=True))
        for v, w in zip(ours, theirs, strict=True)
    )


def _height(plane: Plane) -> float:
    return sum(o * n for o, n in zip(plane.origin, plane.normal, strict=True))


def _based(e: Extrude) -> Extrude:
    """Return the extrude with the shortest extent: about the coordinate plane, from it, or from where it begins."""
    plane = e.sketch.plane
    if standard_name(plane) is None or _off_normal(plane):
        return e
    at, length = _height(plane), e.forward + e.backward
    low, high, slack = at - e.backward, at + e.forward, SAME * (e.forward + e.backward)
    if abs(low + high) <= slack:
        return _on(e, 0.0, length / 2, length / 2)
    if abs(low) <= slack:
        return _on(e, 0.0, length, 0.0)
    if abs(high) <= slack:
        return _on(e, 0.0, 0.0, length)
    if e.forward == 0 or e.backward == 0:
        return e
    return _on(e, low, length, 0.0)


def _off_normal(plane: Plane) -> bool:
    return any(o != 0 and n == 0 for o, n in zip(plane.origin, plane.normal, strict=True))


def _on(e: Extrude, height: float, forward: float, backward: float) -> Extrude:
    x, y, z = (tidy(height) * n + 0.0 for n in e.sketch.plane.normal)
    plane = replace(e.sketch.plane, origin=(x, y, z))
    return replace(e, sketch=replace(e.sketch, plane=plane), forward=tidy(forward), backward=tidy(backward))
