"""Program to CadQuery text, in three dialects.

``gencad`` is the form of the published GenCAD-Code data (Doris et al., arXiv 2505.14646): a ``cq.Plane`` from
vectors for every sketch, one variable a loop, absolute ``lineTo`` and ``threePointArc``. ``plain`` is ours: one
chain an extrude, CadQuery's own shapes and point patterns, one number an axis-parallel edge. ``short`` says the same
in fewer words (:mod:`cadcoder.program.short`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from cadcoder.errors import InputError
from cadcoder.program.gencad import METHODS, gencad
from cadcoder.program.patterns import Grid, Ring, find_pattern
from cadcoder.program.shapes import Shape
from cadcoder.program.sketches import alike, parts
from cadcoder.program.types import (
    STANDARD_PLANES,
    Arc,
    Circle,
    Extrude,
    Loop,
    Operation,
    Plane,
    Point,
    Program,
    Vector,
)

#: What ``emit`` writes.
DIALECTS = ("plain", "short", "gencad")
#: The name of the finished part in the ``plain`` dialect.
RESULT = "result"


def emit(program: Program, dialect: str = "plain", step: float | None = None) -> str:
    """Return CadQuery text for the program.

    Args:
        program: the part; for the shortest ``plain`` text, in canonical form.
        dialect: one of :data:`DIALECTS`.
        step: round every number to a multiple of this (not in ``gencad``); None keeps every digit.

    Raises:
        InputError: for a dialect that is not known.
    """
    if dialect == "gencad":
        return gencad(program)
    if dialect not in DIALECTS:
        raise InputError(f"there is no dialect {dialect!r}; use {', '.join(DIALECTS)}")
    fmt = Format(step)
    if dialect == "short":
        from cadcoder.program.short import short  # which is built from what is here

        return short(program, fmt)
    lines = ["import cadquery as cq", ""]
    for i, e in enumerate(program.extrudes):
        chain = chained(e, partial(_prism, fmt=fmt))
        if i == 0:
            lines.append(f"{RESULT} = {chain}")
        elif e.operation is Operation.NEW:
            # A body of its own: united without merging faces across the seam.
            lines.append(f"{RESULT} = {RESULT}.union({chain}, clean=False)")
        else:
            lines.append(f"{RESULT} = {RESULT}.{METHODS[e.operation]}({chain})")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Format:
    """Writes numbers: rounded to multiples of ``step``, or with every digit where it is None."""

    step: float | None = None

    def __call__(self, value: float) -> str:
        """Return a length, whole ones without a point."""
        if self.step is not None:
            value = round(round(value / self.step) * self.step, 9)
        if value == int(value) and abs(value) < 1e15:
            return str(int(value))
        return repr(float(value))

    def angle(self, degrees: float) -> str:
        """Return an angle: to thousandths where lengths are rounded at all."""
        return Format()(degrees if self.step is None else round(degrees, 3))


def chained(extrude: Extrude, prism: Callable[[Extrude, list[Loop]], str]) -> str:
    """Return one extrude as a CadQuery chain.

    Loops that CadQuery cannot take in one sketch (see :func:`parts`) follow as ``.cut`` and ``.union``.

    Args:
        extrude: what to write.
        prism: writes the extrude of some of its loops.
    """
    main, cuts, rest = parts(extrude.sketch.profiles)
    text = prism(extrude, main) + "".join(f".cut({prism(extrude, loops)})" for loops in cuts)
    if rest:
        text += f".union({chained(replace(extrude, sketch=replace(extrude.sketch, profiles=rest)), prism)})"
    return text


def ends(extrude: Extrude, fmt: Format, offset: str) -> tuple[str, str]:
    """Return the calls before an extrude's loops and after them: the plane where it begins, and how far it goes.

    Args:
        extrude: what to write.
        fmt: writes the numbers.
        offset: what stands before the offset of a plane.
    """
    forward, backward = extrude.forward, extrude.backward
    if extrude.is_symmetric:
        return "", f".extrude({fmt(forward)}, both=True)"
    if backward == 0:
        return "", f".extrude({fmt(forward)})"
    if forward == 0:
        return "", f".extrude({fmt(-backward)})"
    return f".workplane({offset}{fmt(-backward)})", f".extrude({fmt(forward + backward)})"


def _prism(e: Extrude, loops: list[Loop], fmt: Format) -> str:
    begin, end = ends(e, fmt, "offset=")
    return plain_workplane(e.sketch.plane, fmt) + begin + "".join(plain_loops(loops, fmt)) + end


def standard_name(plane: Plane) -> str | None:
    """Return CadQuery's name for the directions of a plane, or None."""
    for name, (x, n) in STANDARD_PLANES.items():
        if plane.x_dir == x and plane.normal == n:
            return name
    return None


def plain_workplane(plane: Plane, fmt: Format) -> str:
    """Return the call that makes the workplane of a sketch."""
    name = standard_name(plane)
    if name is None:
        # Directions keep their digits: rounding them to a length's step would turn the plane.
        exact = Format()
        vectors = _tuple(plane.origin, fmt), _tuple(plane.x_dir, exact), _tuple(plane.normal, exact)
        return f"cq.Workplane(cq.Plane({', '.join(vectors)}))"
    if all(fmt(v) in ("0", "-0") for v in plane.origin):
        return f'cq.Workplane("{name}")'
    return f'cq.Workplane("{name}", origin={_tuple(plane.origin, fmt)})'


def _tuple(values: Vector | Point, fmt: Format) -> str:
    return "(" + ", ".join(fmt(v) for v in values) + ")"


def plain_loops(loops: list[Loop], fmt: Format) -> list[str]:
    """Return the chain's calls for the loops; equal named shapes are pushed onto their points together."""
    calls: list[str] = []
    # What CadQuery's stack holds: new shapes are drawn at these points unless told otherwise.
    here: str | None = place([(0.0, 0.0)], fmt)
    for group in alike(loops, lambda shape: shape_call(shape, fmt)):
        if isinstance(group, Loop):
            calls.append(path(group, fmt))
            here = None
            continue
        there = place([shape.center for shape in group], fmt, group[0].kind == "circle")
        if there != here:
            calls.append(there)
        calls.append(shape_call(group[0], fmt))
        here = there
    return calls


def shape_call(shape: Shape, fmt: Format) -> str:
    """Return the CadQuery call that draws a named shape at the current point."""
    if shape.kind == "polygon":
        return f".polygon({round(shape.sizes[0])}, {fmt(shape.sizes[1])})"
    if shape.kind == "slot":
        angle = shape.sizes[2]
        tail = "" if angle == 0 else f", {fmt.angle(angle)}"
        return f".slot2D({fmt(shape.sizes[0])}, {fmt(shape.sizes[1])}{tail})"
    return f".{shape.kind}({', '.join(fmt(s) for s in shape.sizes)})"


def place(centers: list[Point], fmt: Format, turned: bool = True) -> str:
    """Return the call that puts the points onto CadQuery's stack: one point, a grid, a ring or a list.

    Args:
        centers: the points.
        fmt: writes the numbers.
        turned: whether a shape may be turned along with its place, as ``polarArray`` does.
    """
    if len(centers) == 1:
        return f".moveTo({fmt(centers[0][0])}, {fmt(centers[0][1])})"
    pattern = find_pattern(centers)
    if isinstance(pattern, Grid):
        written = Grid(float(fmt(pattern.dx)), float(fmt(pattern.dy)), pattern.nx, pattern.ny)
        if same_places(written.points(), centers, fmt):
            return f".rarray({fmt(pattern.dx)}, {fmt(pattern.dy)}, {pattern.nx}, {pattern.ny})"
    if isinstance(pattern, Ring) and turned:
        angle = fmt.angle(pattern.start)
        if same_places(Ring(float(fmt(pattern.radius)), float(angle), pattern.count).points(), centers, fmt):
            return f".polarArray({fmt(pattern.radius)}, {angle}, 360, {pattern.count})"
    return f".pushPoints([{', '.join(_tuple(c, fmt) for c in centers)}])"


def same_places(written: list[Point], centers: list[Point], fmt: Format) -> bool:
    """Whether every centre is where the pattern puts it: to the rounding of ``fmt``, else to 1e-10 of their size."""
    size = max(max(abs(c[0]), abs(c[1])) for c in centers)
    rounding = max(abs(float(fmt(v)) - v) for c in centers for v in c)
    slack = 1e-10 * size + 2.0 * rounding
    return all(min(math.dist(c, w) for w in written) <= slack for c in centers)


def path(loop: Loop, fmt: Format) -> str:
    """Return the calls that draw an outline edge by edge; an edge along an axis takes one number."""
    first = loop.curves[0]
    if isinstance(first, Circle):
        raise InputError("a circle is not a path")
    here = first.start
    calls = [f".moveTo({fmt(here[0])}, {fmt(here[1])})"]
    at = fmt(here[0]), fmt(here[1])
    for i, c in enumerate(loop.curves):
        if isinstance(c, Circle):
            continue
        end = fmt(c.end[0]), fmt(c.end[1])
        if isinstance(c, Arc):
            calls.append(f".threePointArc({_tuple(c.mid, fmt)}, ({end[0]}, {end[1]}))")
        elif i == len(loop.curves) - 1:
            pass  # close() draws the last straight edge
        elif end == at:
            continue  # shorter than the step
        elif end[1] == at[1]:
            calls.append(f".hLineTo({end[0]})")
        elif end[0] == at[0]:
            calls.append(f".vLineTo({end[1]})")
        else:
            calls.append(f".lineTo({end[0]}, {end[1]})")
        at = end
    return "".join(calls) + ".close()"
