"""How far a program is from another of the same structure, without building either.

Three answers, all from the numbers alone. To first order a part loses, for every face that is seen, its area times how
far it moves: :meth:`Original.least_lost` says so of any rounding to a grid, :meth:`Original.lost` of one program.
:meth:`Original.most_lost` is a bound that holds, and for parts of one extrude is what is lost: where ``S`` is made of
the tools ``T_i`` by unions, cuts and intersections, and ``S'`` of ``T'_i`` by the same ones, ``S`` and ``S'`` differ at
most in the volume in which the tools differ, since a point that every ``T_i`` has or lacks as ``T'_i`` does is in both
or in neither.
"""

from __future__ import annotations

import math
from functools import cached_property

import manifold3d
import numpy as np

from cadcoder.geometry.solid import FloatArray, Solid
from cadcoder.program.shapes import describe
from cadcoder.program.types import Arc, Circle, Curve, Extrude, Line, Loop, Point, Program

#: Planes whose directions differ by more than this are not compared.
TURN = 1e-9


class Original:
    """A part that others are compared with.

    Args:
        program: the part, in canonical form.
        volume: of its solid.
        solid: what it builds; not needed for a part of one extrude.
    """

    def __init__(self, program: Program, volume: float, solid: Solid | None = None) -> None:
        """Add up the areas of the faces; where the solid does not know its surfaces, nothing is ever estimated."""
        self.program = program
        self.volume = volume
        self._areas: list[float] | None = None
        if solid is None:
            self._areas = self._of_prism(program.extrudes[0]) if len(program.extrudes) == 1 else None
        elif solid.surfaces is not None:
            count = sum(2 + sum(len(loop.curves) for loop in e.sketch.loops()) for e in program.extrudes)
            areas = np.bincount(solid.surfaces // 4, weights=solid.face_areas, minlength=count)
            self._areas = areas.tolist() if len(areas) == count else None

    @cached_property
    def regions(self) -> list[manifold3d.CrossSection]:
        """The region of each sketch."""
        return [_region(e) for e in self.program.extrudes]

    @property
    def swept(self) -> float:
        """The volume of all extrudes, each by itself."""
        pairs = zip(self.regions, self.program.extrudes, strict=True)
        return float(sum(region.area() * (e.forward + e.backward) for region, e in pairs))

    def _of_prism(self, e: Extrude) -> list[float]:
        depth, cap = e.forward + e.backward, self.regions[0].area()
        runs = [points for loop in e.sketch.loops() for points in _runs(loop)]
        walls = [depth * sum(math.dist(p, q) for p, q in zip(run, run[1:], strict=False)) for run in runs]
        return [cap, cap, *walls]

    @cached_property
    def _places(self) -> FloatArray:
        """Faces that any rounding puts on a grid: rows of (area, place, fraction of the step), shape (N, 3).

        Ends of extrudes and radii go to multiples of the step, straight outer edges along an axis to halves.
        """
        rows: list[tuple[float, float, float]] = []
        areas = iter(self._areas or ())
        for e in self.program.extrudes if self._areas else ():
            plane = e.sketch.plane
            _, _, n = plane.axes()
            height = sum(o * d for o, d in zip(plane.origin, n, strict=True))
            # Of a plane that lies askew, the rounding of its origin moves everything.
            upright = sum(abs(o - height * d) for o, d in zip(plane.origin, n, strict=True)) == 0 and 1 in map(abs, n)
            found = [(next(areas), height - e.backward, 1.0), (next(areas), height + e.forward, 1.0)]
            few = len(e.sketch.profiles) < 3  # equal ones in a ring keep the ring, not the grid
            for p in e.sketch.profiles:
                for i, loop in enumerate(p.loops()):
                    shape = describe(loop) if i == 0 and few else None
                    straight = i == 0 and few and (shape is None or shape.kind == "rect")
                    for c in loop.curves:
                        found.append((next(areas), *_gridded(c, straight)))
            rows += found if upright else ()
        return np.array(rows or [(0.0, 0.0, 1.0)])

    def least_lost(self, step: float) -> float:
        """Return the estimated share of the part that any rounding to multiples of ``step`` loses at least."""
        area, place, part = self._places.T
        unit = part * step
        return float((area * np.abs(place - np.round(place / unit) * unit)).sum()) / self.volume

    def lost(self, other: Program) -> float:
        """Return the estimated share of the part in which the two differ; 0 where nothing can be said."""
        if self._areas is None or len(other.extrudes) != len(self.program.extrudes):
            return 0.0
        areas = iter(self._areas)
        total = 0.0
        for e, f in zip(self.program.extrudes, other.extrudes, strict=True):
            shift = _shift(e, f)
            if shift is None:
                return 0.0
            dx, dy, rise = shift
            total += next(areas) * abs(rise - f.backward + e.backward)
            total += next(areas) * abs(rise + f.forward - e.forward)
            theirs = _paired(list(e.sketch.loops()), list(f.sketch.loops()))
            for loop, its in zip(e.sketch.loops(), theirs, strict=True):
                for i, curve in enumerate(loop.curves):
                    area = next(areas)
                    if area > 0 and its is not None:
                        total += area * _moved(curve, its.curves[i], (dx, dy))
        return total / self.volume

    def most_lost(self, other: Program) -> float:
        """Return a share of the part that the two do not differ by more than; infinite where none is known.

        Exact where there is one extrude, of the polygons that arcs are drawn as.
        """
        if [e.operation for e in self.program.extrudes] != [f.operation for f in other.extrudes]:
            return math.inf
        total = 0.0
        for e, f, ours in zip(self.program.extrudes, other.extrudes, self.regions, strict=True):
            shift = _shift(e, f)
            if shift is None:
                return math.inf
            dx, dy, rise = shift
            theirs = _region(f).translate((dx, dy))
            low, high = max(-e.backward, rise - f.backward), min(e.forward, rise + f.forward)
            first, second = ours.area() * (e.forward + e.backward), theirs.area() * (f.forward + f.backward)
            total += max(0.0, first + second - 2 * (ours ^ theirs).area() * max(0.0, high - low))
        return total / self.volume


def _runs(loop: Loop) -> list[list[Point]]:
    """Return the points of each curve's polygon, the curve's end among them."""
    lines = loop.polylines()
    return [[*line, following[0]] for line, following in zip(lines, lines[1:] + lines[:1], strict=True)]


def _gridded(c: Curve, straight: bool) -> tuple[float, float]:
    """Return the number of a curve that a grid decides, and in which fraction of its step; 0 where there is none."""
    if isinstance(c, Circle):
        return c.radius, 1.0
    if straight and isinstance(c, Line):
        for k in (0, 1):
            if c.start[k] == c.end[k]:
                return c.start[k], 0.5
    return 0.0, 1.0


def _shift(e: Extrude, f: Extrude) -> tuple[float, float, float] | None:
    """Return how far the second plane is moved along the first one's axes, or None where it is turned."""
    p, q = e.sketch.plane, f.sketch.plane
    turned = max(abs(v - w) for v, w in zip((*p.x_dir, *p.normal), (*q.x_dir, *q.normal), strict=True))
    if turned > TURN:
        return None
    off = [w - v for v, w in zip(p.origin, q.origin, strict=True)]
    x, y, z = (sum(o * d for o, d in zip(off, axis, strict=True)) for axis in p.axes())
    return x, y, z


def _paired(loops: list[Loop], others: list[Loop]) -> list[Loop | None]:
    """Return for each loop the other sketch's that lies nearest and has as many curves, or None.

    Rounding can change the order of the loops, and can leave one with fewer curves.
    """
    if len(loops) == len(others) == 1:
        return [others[0] if len(others[0].curves) == len(loops[0].curves) else None]
    boxes = np.array([loop.bounds() for loop in others])
    found: list[Loop | None] = []
    for i, loop in enumerate(loops):
        far = np.abs(boxes - loop.bounds()).max(axis=1)
        if i < len(far):
            far[i] *= 0.5  # of equals, the one at the same place
        other = others[int(far.argmin())]
        found.append(other if len(other.curves) == len(loop.curves) else None)
    return found


def _moved(a: Curve, b: Curve, shift: Point) -> float:
    """Return how far the second curve, moved by ``shift``, is from the first on the average, across it."""
    dx, dy = shift
    if isinstance(a, Circle):
        if not isinstance(b, Circle):
            return 0.0
        apart = math.hypot(b.center[0] + dx - a.center[0], b.center[1] + dy - a.center[1])
        return max(abs(b.radius - a.radius), apart * 2 / math.pi)
    if isinstance(b, Circle):
        return 0.0
    if isinstance(a, Line):
        ux, uy = a.end[0] - a.start[0], a.end[1] - a.start[1]
        length = math.hypot(ux, uy)
        if length == 0:
            return 0.0
        v, w = (
            ((q[0] + dx - p[0]) * uy - (q[1] + dy - p[1]) * ux) / length
            for p, q in ((a.start, b.start), (a.end, b.end))
        )
        if v * w >= 0:
            return (abs(v) + abs(w)) / 2
        return (v * v + w * w) / (2 * (abs(v) + abs(w)))
    found = a.circle()
    if found is None:
        return 0.0
    (cx, cy), r = found
    first, sweep = a.sweep()
    turns = [first + sweep * k / 8 for k in (1, 3, 5, 7)]
    return sum(_off(b, (cx - dx + r * math.cos(t), cy - dy + r * math.sin(t))) for t in turns) / 4


def _off(curve: Line | Arc, p: Point) -> float:
    """Return the distance of a point from the circle or the straight line that a curve lies on."""
    found = curve.circle() if isinstance(curve, Arc) else None
    if found is not None:
        return abs(math.dist(p, found[0]) - found[1])
    ux, uy = curve.end[0] - curve.start[0], curve.end[1] - curve.start[1]
    length = math.hypot(ux, uy)
    return 0.0 if length == 0 else abs((p[0] - curve.start[0]) * uy - (p[1] - curve.start[1]) * ux) / length


def _region(e: Extrude) -> manifold3d.CrossSection:
    """Return the union of the profiles of a sketch, each its outer loop less its holes."""
    profiles = [[_ring(loop, i > 0) for i, loop in enumerate(p.loops())] for p in e.sketch.profiles]
    whole = manifold3d.CrossSection(profiles[0], manifold3d.FillRule.Positive)
    for rings in profiles[1:]:
        whole = whole + manifold3d.CrossSection(rings, manifold3d.FillRule.Positive)
    return whole


def _ring(loop: Loop, hole: bool) -> list[Point]:
    points = loop.polyline()
    return points[::-1] if (loop.signed_area() < 0) is not hole else points


def same_numbers(a: Program, b: Program, slack: float) -> bool:
    """Whether two programs have the same structure, and numbers that differ by no more than ``slack``."""
    if len(a.extrudes) != len(b.extrudes):
        return False
    for e, f in zip(a.extrudes, b.extrudes, strict=True):
        p, q = e.sketch.plane, f.sketch.plane
        if e.operation is not f.operation or (p.x_dir, p.normal) != (q.x_dir, q.normal):
            return False
        if [len(s.holes) for s in e.sketch.profiles] != [len(s.holes) for s in f.sketch.profiles]:
            return False
        near = [*zip((e.forward, e.backward, *p.origin), (f.forward, f.backward, *q.origin), strict=True)]
        for loop, its in zip(e.sketch.loops(), f.sketch.loops(), strict=True):
            if [type(c) for c in loop.curves] != [type(c) for c in its.curves]:
                return False
            near += [pair for c, d in zip(loop.curves, its.curves, strict=True) for pair in _numbers(c, d)]
        if any(abs(v - w) > slack for v, w in near):
            return False
    return True


def _numbers(c: Curve, d: Curve) -> list[tuple[float, float]]:
    if isinstance(c, Circle) and isinstance(d, Circle):
        return [*zip((*c.center, c.radius), (*d.center, d.radius), strict=True)]
    if isinstance(c, Arc) and isinstance(d, Arc):
        return [*zip((*c.start, *c.mid, *c.end), (*d.start, *d.mid, *d.end), strict=True)]
    assert isinstance(c, Line) and isinstance(d, Line)
    return [*zip((*c.start, *c.end), (*d.start, *d.end), strict=True)]
