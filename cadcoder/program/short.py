"""The ``short`` dialect: ``plain`` with fewer words, for those who pay by the token.

What it has that ``plain`` has not: rows, grids and rings about a point of their own (``center``), rows of two and
three, rings that are not full, polygons by their corners (``polyline``), arguments by place, and ``r`` for the part.
Of several ways to say a thing the one with the fewest characters is taken. ``parse`` reads all of it back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from cadcoder.program.canonical import map_loop
from cadcoder.program.compact import tidy
from cadcoder.program.emit import (
    Format,
    chained,
    ends,
    path,
    place,
    plain_workplane,
    same_places,
    shape_call,
    standard_name,
)
from cadcoder.program.gencad import METHODS
from cadcoder.program.patterns import Grid, find_arc, find_row
from cadcoder.program.sketches import alike
from cadcoder.program.types import Circle, Extrude, Line, Loop, Operation, Plane, Point, Program

#: The name of the finished part; also one of those that ``parse`` and the executor look for.
NAME = "r"
ZERO = (0.0, 0.0)


def short(program: Program, fmt: Format) -> str:
    """Return CadQuery text for the program.

    Args:
        program: the part; shortest in the form that :func:`cadcoder.program.compact.compact` gives it.
        fmt: writes the numbers.
    """
    fmt = _Tidy(fmt.step)
    lines = ["import cadquery as cq", ""]
    for i, e in enumerate(program.extrudes):
        chain = chained(e, partial(_prism, fmt=fmt))
        # A body of its own is united without merging faces across the seam.
        separate = ", clean=False" if e.operation is Operation.NEW else ""
        lines.append(f"{NAME} = {NAME}.{METHODS[e.operation]}({chain}{separate})" if i else f"{NAME} = {chain}")
    return "\n".join(lines) + "\n"


class _Tidy(Format):
    """Writes round numbers without last bits: what is written here are sums and differences of others."""

    def __call__(self, value: float) -> str:
        """Return a length, whole ones without a point."""
        return Format.__call__(self, tidy(value))


def _prism(e: Extrude, loops: list[Loop], fmt: Format) -> str:
    begin, end = ends(e, fmt, "")
    return _workplane(e.sketch.plane, fmt) + begin + _Pen(fmt).loops(loops) + end


def _workplane(plane: Plane, fmt: Format) -> str:
    name = standard_name(plane)
    if name is None:
        return plain_workplane(plane, fmt)
    if any(fmt(v) not in ("0", "-0") for v in plane.origin):
        return f'cq.Workplane("{name}", ({", ".join(fmt(v) for v in plane.origin)}))'
    return "cq.Workplane()" if name == "XY" else f'cq.Workplane("{name}")'


@dataclass(frozen=True)
class _Place:
    """A way to put points onto the stack: where the origin goes first, and the call after it."""

    move: str
    call: str
    origin: Point

    def __len__(self) -> int:
        return len(self.move) + len(self.call)


class _Pen:
    """Draws the loops of one sketch, and knows where its origin has been moved to."""

    def __init__(self, fmt: Format) -> None:
        self.fmt = fmt
        self.origin = ZERO

    def loops(self, loops: list[Loop]) -> str:
        """Return the calls that draw the loops; equal named shapes are drawn at their points together."""
        text = ""
        # What CadQuery's stack holds: new shapes are drawn at these points unless told otherwise.
        here: str | None = place([ZERO], self.fmt)
        for group in alike(loops, lambda shape: shape_call(shape, self.fmt)):
            if isinstance(group, Loop):
                text += self.path(group)
                here = None
                continue
            there = self.place([shape.center for shape in group], group[0].kind == "circle")
            if there.move or there.call != here:
                text += there.move + there.call
            text += shape_call(group[0], self.fmt)
            here, self.origin = there.call, there.origin
        return text

    def place(self, centers: list[Point], turned: bool) -> _Place:
        """Return the shortest way to put the centres onto the stack.

        Args:
            centers: in the plane's coordinates.
            turned: whether a shape may be turned along with its place, as ``polarArray`` does.
        """
        fmt = self.fmt
        near = [self.local(c) for c in centers]
        ways = [_Place("", place(near, fmt, turned), self.origin)]
        if len(centers) == 1:
            return ways[0]
        arc = find_arc(near) if turned else None
        if arc is not None:
            numbers = [fmt(arc.radius), fmt.angle(arc.start), fmt.angle(arc.angle)]
            written = replace(arc, radius=float(numbers[0]), start=float(numbers[1]), angle=float(numbers[2]))
            if same_places(written.points(), near, fmt):
                ways.append(_Place("", f".polarArray({', '.join(numbers)}, {arc.count})", self.origin))
        for middle in self.middles(near):
            origin = tidy(self.origin[0] + middle[0]), tidy(self.origin[1] + middle[1])
            moved = [(tidy(x - middle[0]), tidy(y - middle[1])) for x, y in near]
            move = "" if middle == ZERO else f".center({fmt(middle[0])}, {fmt(middle[1])})"
            row = find_row(moved)
            if row is not None:
                written_row = Grid(float(fmt(row.dx)), float(fmt(row.dy)), row.nx, row.ny)
                if same_places(written_row.points(), moved, fmt):
                    call = f".rarray({fmt(row.dx)}, {fmt(row.dy)}, {row.nx}, {row.ny})"
                    ways.append(_Place(move, call, origin))
            if move:
                call = place(moved, fmt, turned)
                if not call.startswith(".pushPoints"):
                    ways.append(_Place(move, call, origin))
        return min(ways, key=len)

    def middles(self, near: list[Point]) -> list[Point]:
        """Return points that a pattern could be about, as they will be written."""
        xs, ys = [p[0] for p in near], [p[1] for p in near]
        boxed = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        mean = sum(xs) / len(xs), sum(ys) / len(ys)
        written = [(float(self.fmt(x)), float(self.fmt(y))) for x, y in (ZERO, boxed, mean)]
        return list(dict.fromkeys((x + 0.0, y + 0.0) for x, y in written))

    def local(self, p: Point) -> Point:
        """Return a point of the plane in the moved coordinates, without the last bits of the difference."""
        if self.origin == ZERO:
            return p
        return tidy(p[0] - self.origin[0]), tidy(p[1] - self.origin[1])

    def path(self, loop: Loop) -> str:
        """Return an outline, edge by edge, or by its corners where that is shorter."""
        if self.origin != ZERO:
            loop = map_loop(loop, self.local)
        text = path(loop, self.fmt)
        corners = [c.start for c in loop.curves if isinstance(c, Line)]
        if len(corners) < len(loop.curves) or any(isinstance(c, Circle) for c in loop.curves):
            return text
        written = [f"({self.fmt(x)}, {self.fmt(y)})" for x, y in corners]
        # Corners nearer than the step are one; so is the last with the first.
        kept = [w for i, w in enumerate(written) if i == 0 or w != written[i - 1]]
        other = f".polyline([{', '.join(kept)}]).close()"
        return other if len(other) < len(text) and kept[-1] != kept[0] else text
