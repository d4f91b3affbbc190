"""A part as data: sketch-extrude programs as frozen dataclasses.

A :class:`Program` is a sequence of extrudes, each of one sketch of closed profiles on a plane, combined
by boolean operations: the command sequences of DeepCAD (Wu et al., ICCV 2021, section 3.1) without their
8-bit quantisation. Lengths are in the program's own unit, angles do not occur (arcs hold three points).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from cadcoder.errors import InputError

Point: TypeAlias = tuple[float, float]
Vector: TypeAlias = tuple[float, float, float]

#: Two curve ends closer than this fraction of the loop's size are the same point.
JOIN_TOLERANCE = 1e-6


def _finite(*values: float) -> bool:
    return all(math.isfinite(v) for v in values)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight segment in sketch coordinates."""

    start: Point
    end: Point


@dataclass(frozen=True, slots=True)
class Arc:
    """A circular arc through three points in sketch coordinates, from ``start`` through ``mid`` to ``end``."""

    start: Point
    mid: Point
    end: Point

    def circle(self) -> tuple[Point, float] | None:
        """Return ((centre x, y), radius), or None where the three points lie on a line."""
        (ax, ay), (bx, by), (cx, cy) = self.start, self.mid, self.end
        bx, by, cx, cy = bx - ax, by - ay, cx - ax, cy - ay
        d = 2.0 * (bx * cy - by * cx)
        scale = max(abs(bx), abs(by), abs(cx), abs(cy))
        if abs(d) <= 1e-12 * scale * scale:
            return None
        b2, c2 = bx * bx + by * by, cx * cx + cy * cy
        ux, uy = (cy * b2 - by * c2) / d, (bx * c2 - cx * b2) / d
        return (ax + ux, ay + uy), math.hypot(ux, uy)

    def sweep(self) -> tuple[float, float]:
        """Return (start angle, signed sweep), both in radians; the sweep is positive counter-clockwise.

        Raises:
            InputError: if the three points lie on a line.
        """
        found = self.circle()
        if found is None:
            raise InputError(f"the arc {self.start} {self.mid} {self.end} is straight; use a line instead")
        (cx, cy), _ = found
        a0, a1, a2 = (math.atan2(p[1] - cy, p[0] - cx) for p in (self.start, self.mid, self.end))
        total = (a2 - a0) % (2 * math.pi)
        if (a1 - a0) % (2 * math.pi) > total:
            total -= 2 * math.pi
        return a0, total


@dataclass(frozen=True, slots=True)
class Circle:
    """A full circle in sketch coordinates; it is a closed loop by itself."""

    center: Point
    radius: float


Curve: TypeAlias = Line | Arc | Circle


@dataclass(frozen=True, slots=True)
class Loop:
    """A closed chain of lines and arcs, or a single circle.

    Raises:
        InputError: if it is empty, not closed, not connected, holds a number that is not finite, or mixes
            a circle with other curves.
    """

    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        if not self.curves:
            raise InputError("a loop needs at least one curve; it has none")
        first = self.curves[0]
        if isinstance(first, Circle):
            if len(self.curves) != 1:
                raise InputError("a circle is a loop by itself; it cannot be joined to other curves")
            if not _finite(*first.center, first.radius) or first.radius <= 0:
                raise InputError(f"a circle needs a finite centre and a positive radius, not {first}")
            return
        points: list[Point] = []
        meets = True
        end = getattr(self.curves[-1], "end", None)
        for c in self.curves:
            if isinstance(c, Circle):
                raise InputError("a circle is a loop by itself; it cannot be joined to other curves")
            points += (c.start, c.end) if isinstance(c, Line) else (c.start, c.mid, c.end)
            meets = meets and end == c.start
            end = c.end
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        if not (all(map(math.isfinite, xs)) and all(map(math.isfinite, ys))):
            raise InputError("a loop holds a coordinate that is not a finite number")
        if meets:
            return  # to the last bit, as nearly all do
        size = max(max(xs) - min(xs), max(ys) - min(ys))
        for c, following in zip(self.curves, self.curves[1:] + self.curves[:1], strict=True):
            gap = math.dist(c.end, following.start)  # type: ignore[union-attr]
            if gap > JOIN_TOLERANCE * max(size, 1e-9):
                raise InputError(f"the loop is open: a gap of {gap:.3g} after {c}")

    @property
    def is_circle(self) -> bool:
        """Whether the loop is a single full circle."""
        return isinstance(self.curves[0], Circle)

    def polyline(self, arc_step: float = math.pi / 36) -> list[Point]:
        """Return the loop as a closed polygon's points (the first is not repeated).

        Args:
            arc_step: largest angle between two points on an arc or circle, in radians.
        """
        return [p for points in self.polylines(arc_step) for p in points]

    def polylines(self, arc_step: float = math.pi / 36) -> list[list[Point]]:
        """Return the polygon's points curve by curve, each without the curve's end.

        Args:
            arc_step: largest angle between two points on an arc or circle, in radians.
        """
        return [_flattened(c, arc_step) for c in self.curves]

    def signed_area(self) -> float:
        """Return the enclosed area, positive where the loop runs counter-clockwise (unit squared)."""
        if isinstance(self.curves[0], Circle):
            return math.pi * self.curves[0].radius ** 2
        p = self.polyline()
        return 0.5 * sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(p, p[1:] + p[:1], strict=True))

    def bounds(self) -> tuple[float, float, float, float]:
        """Return (x min, y min, x max, y max), exact."""
        points: list[Point] = []
        for c in self.curves:
            if isinstance(c, Circle):
                (x, y), r = c.center, c.radius
                return x - r, y - r, x + r, y + r
            points.append(c.start)
            if isinstance(c, Arc):
                points += _quadrants(c)
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        return min(xs), min(ys), max(xs), max(ys)


def _quadrants(arc: Arc) -> list[Point]:
    """Return the arc's leftmost, rightmost, lowest and highest points, those that are not its ends."""
    found = arc.circle()
    if found is None:
        return [arc.mid]
    (cx, cy), r = found
    start, sweep = arc.sweep()
    out = []
    for k, (dx, dy) in enumerate(((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))):
        past = (k * math.pi / 2 - start) % (2 * math.pi)
        if 1e-9 < (past if sweep > 0 else 2 * math.pi - past) < abs(sweep) - 1e-9:
            out.append((cx + r * dx, cy + r * dy))
    return out


def _flattened(c: Curve, arc_step: float) -> list[Point]:
    if isinstance(c, Line):
        return [c.start]
    if isinstance(c, Circle):
        (cx, cy), r = c.center, c.radius
        turn = _turn(max(4, math.ceil(2 * math.pi / arc_step - 1e-9)))
        return [(cx + r * x, cy + r * y) for x, y in turn]
    return list(_bent(c, arc_step))


@lru_cache(maxsize=256)
def _bent(c: Arc, arc_step: float) -> tuple[Point, ...]:
    """Return the points of an arc but for its end; of one part they are asked for again and again."""
    found = c.circle()
    if found is None:
        return (c.start,)
    (cx, cy), r = found
    a0, total = c.sweep()
    n = max(2, math.ceil(abs(total) / arc_step - 1e-9))
    turns = [a0 + total * i / n for i in range(1, n)]
    return (c.start, *((cx + r * math.cos(t), cy + r * math.sin(t)) for t in turns))


@lru_cache(maxsize=64)
def _turn(n: int) -> tuple[Point, ...]:
    """Return n points on the unit circle from (1, 0)."""
    return tuple((math.cos(2 * math.pi * i / n), math.sin(2 * math.pi * i / n)) for i in range(n))


@dataclass(frozen=True, slots=True)
class Profile:
    """A region of a sketch: an outer loop less its holes."""

    outer: Loop
    holes: tuple[Loop, ...] = ()

    def loops(self) -> Iterator[Loop]:
        """Yield the outer loop, then the holes."""
        yield self.outer
        yield from self.holes


@dataclass(frozen=True, slots=True)
class Plane:
    """A sketch plane: origin, direction of the sketch's x axis, and normal, as CadQuery's ``Plane``.

    The vectors need not be unit or exactly orthogonal (8-bit sources are not); :meth:`axes` is.

    Raises:
        InputError: if a number is not finite, a direction is null, or the two are parallel.
    """

    origin: Vector = (0.0, 0.0, 0.0)
    x_dir: Vector = (1.0, 0.0, 0.0)
    normal: Vector = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if not _finite(*self.origin, *self.x_dir, *self.normal):
            raise InputError("a plane holds a number that is not finite")
        lengths = math.hypot(*self.x_dir), math.hypot(*self.normal)
        if min(lengths) < 1e-12:
            raise InputError("a plane's x direction and normal must not be null")
        if math.hypot(*_cross(self.normal, self.x_dir)) < 1e-6 * lengths[0] * lengths[1]:
            raise InputError("a plane's x direction and normal must not be parallel")

    def axes(self) -> tuple[Vector, Vector, Vector]:
        """Return the orthonormal (x, y, normal); x is made orthogonal to the normal as OpenCascade does."""
        n = _unit(self.normal)
        y = _unit(_cross(n, self.x_dir))
        return _cross(y, n), y, n

    def to_world(self, point: Point, height: float = 0.0) -> Vector:
        """Return the world position of a sketch point, ``height`` along the normal."""
        x, y, n = self.axes()
        o = self.origin
        return (
            o[0] + point[0] * x[0] + point[1] * y[0] + height * n[0],
            o[1] + point[0] * x[1] + point[1] * y[1] + height * n[1],
            o[2] + point[0] * x[2] + point[1] * y[2] + height * n[2],
        )


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _unit(a: Vector) -> Vector:
    n = math.hypot(*a)
    return a[0] / n, a[1] / n, a[2] / n


#: CadQuery's named planes: name -> (x direction, normal).
STANDARD_PLANES: dict[str, tuple[Vector, Vector]] = {
    "XY": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "YZ": ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    "ZX": ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    "XZ": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    "YX": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "ZY": ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0)),
}


@dataclass(frozen=True, slots=True)
class Sketch:
    """Profiles on a plane."""

    profiles: tuple[Profile, ...]
    plane: Plane = field(default_factory=Plane)

    def __post_init__(self) -> None:
        if not self.profiles:
            raise InputError("a sketch needs at least one profile; it has none")

    def loops(self) -> Iterator[Loop]:
        """Yield every loop, profile by profile, outer before holes."""
        for p in self.profiles:
            yield from p.loops()


class Operation(enum.Enum):
    """How an extrude is combined with the part so far (DeepCAD's extrude operations)."""

    NEW = "new"
    JOIN = "join"
    CUT = "cut"
    INTERSECT = "intersect"


@dataclass(frozen=True, slots=True)
class Extrude:
    """A sketch swept along its normal from ``-backward`` to ``forward``.

    One-sided: ``backward == 0`` (or ``forward == 0``, against the normal); symmetric: the two are equal;
    two-sided: anything else. ``NEW`` after the first extrude adds a body of its own.

    Raises:
        InputError: if the swept length is not positive and finite.
    """

    sketch: Sketch
    forward: float
    backward: float = 0.0
    operation: Operation = Operation.NEW

    def __post_init__(self) -> None:
        if not _finite(self.forward, self.backward) or self.forward + self.backward <= 0:
            raise InputError(f"an extrude needs a positive finite length, not {self.forward} + {self.backward}")

    @property
    def is_symmetric(self) -> bool:
        """Whether it extends equally to both sides of its plane."""
        return self.forward == self.backward


@dataclass(frozen=True, slots=True)
class Program:
    """A part: extrudes in order. The first must be ``NEW``.

    Raises:
        InputError: if there is no extrude, or the first does not make a new body.
    """

    extrudes: tuple[Extrude, ...]

    def __post_init__(self) -> None:
        if not self.extrudes:
            raise InputError("a program needs at least one extrude; it has none")
        if self.extrudes[0].operation is not Operation.NEW:
            raise InputError("the first extrude of a program must make a new body")
