"""What CadQuery's ``Workplane`` does, for the calls that a sketch-extrude program needs, without CadQuery.

The state is CadQuery's own (``cadquery/cq.py``, version 2): a stack of places that every call replaces, and a context
that all chains from one ``Workplane(...)`` share, with the wires that the next ``extrude`` takes. What a call does
to them is what CadQuery does; what CadQuery refuses, or what would not be a closed sketch, is an
:class:`InputError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cadcoder.errors import InputError
from cadcoder.program.bodies import MAX_LOOPS, Body
from cadcoder.program.canonical import map_loop
from cadcoder.program.nesting import nest
from cadcoder.program.patterns import Grid, Ring
from cadcoder.program.regions import crossing
from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import Arc, Circle, Extrude, Line, Loop, Plane, Point, Sketch, Vector

#: A script may draw this many curves and push this many points, all in all.
MAX_ITEMS = 20_000
#: CadQuery's ``close`` takes ends nearer than this for one point.
SAME_POINT = 1e-6


@dataclass
class Budget:
    """How much a script may still ask for; the guard against short texts that mean millions of curves."""

    left: int = MAX_ITEMS

    def spend(self, items: int) -> None:
        """Take off so many curves or points.

        Raises:
            InputError: if nothing is left.
        """
        self.left -= items
        if self.left < 0:
            raise InputError(f"the script draws more than {MAX_ITEMS} curves and points")


@dataclass
class Context:
    """What the chains of one ``Workplane(...)`` share: closed loops with their heights, and open edges."""

    budget: Budget
    loops: list[tuple[Loop, float]] = field(default_factory=list)
    edges: list[Line | Arc] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """An object on the stack: a point (turned, if from ``polarArray``), an edge's end, or a wire's centre."""

    at: Point
    kind: str = "point"
    turn: float = 0.0
    corners: tuple[Point, ...] = ()


@dataclass
class Chain:
    """A Workplane before its extrude. ``origin`` is where ``center`` moved it, ``height`` is along the normal."""

    plane: Plane
    context: Context
    origin: Point = (0.0, 0.0)
    height: float = 0.0
    stack: list[Place] = field(default_factory=list)

    def to(self, *stack: Place) -> Chain:
        """Return the chain that goes on from other places."""
        return Chain(self.plane, self.context, self.origin, self.height, list(stack))

    def local(self, p: Point) -> Point:
        """Return a point of the moved workplane in the plane's coordinates."""
        return self.origin[0] + p[0], self.origin[1] + p[1]

    @property
    def here(self) -> Point:
        """The point that the next edge starts from: the last on the stack."""
        if not self.stack:
            return self.origin
        last = self.stack[-1]
        if last.kind not in ("point", "edge"):
            raise InputError(f"there is no current point after a {last.kind}; say moveTo first")
        return last.at

    # Points

    def move_to(self, x: float, y: float) -> Chain:
        """Go to a point of the moved workplane."""
        return self.to(Place(self.local((x, y))))

    def move(self, x: float, y: float) -> Chain:
        """Go on by so much from the current point."""
        return self.to(Place((self.here[0] + x, self.here[1] + y)))

    def center(self, x: float, y: float) -> Chain:
        """Move the workplane's origin within it."""
        if self.context.edges:
            raise InputError("center() between edges that are not closed is not read; call .close() first")
        moved = self.local((x, y))
        return replace(self.to(Place(moved)), origin=moved)

    def workplane(self, offset: float) -> Chain:
        """Move the workplane along its normal; the current point is its origin again."""
        if len(self.stack) > 1 or self.context.loops or self.context.edges:
            raise InputError("workplane() is only read before anything is drawn")
        return replace(self.to(), height=self.height + offset)

    def push(self, points: list[Point]) -> Chain:
        """Put points onto the stack."""
        if not points:
            raise InputError("pushPoints() needs a list of points")
        self.context.budget.spend(len(points))
        return self.to(*(Place(self.local(p)) for p in points))

    def rarray(self, dx: float, dy: float, nx: int, ny: int, centered: tuple[bool, bool]) -> Chain:
        """Put a grid of points onto the stack, centred on the origin along each axis or begun there."""
        if dx <= 0 and dy <= 0:
            raise InputError("rarray() needs a positive spacing")
        self.context.budget.spend(nx * ny)
        shift = (0.0 if centered[0] else dx * (nx - 1) / 2, 0.0 if centered[1] else dy * (ny - 1) / 2)
        points = [(x + shift[0], y + shift[1]) for x, y in Grid(dx, dy, nx, ny).points()]
        return self.to(*(Place(self.local(p)) for p in points))

    def polar(self, radius: float, start: float, angle: float, count: int, fill: bool, rotate: bool) -> Chain:
        """Put points on a circle about the origin onto the stack, each turned with its angle if ``rotate``."""
        self.context.budget.spend(count)
        whole = abs(math.remainder(angle, 360.0)) < 1e-6
        if fill and whole and abs(angle - 360.0) < 1e-6:
            step, points = 360.0 / count, Ring(radius, start, count).points()
        else:
            step = angle if not fill else angle / count if whole else angle / (count - 1) if count > 1 else 0.0
            turns = [math.radians(start + step * i) for i in range(count)]
            points = [(radius * math.cos(t), radius * math.sin(t)) for t in turns]
        turned = [start + step * i if rotate else 0.0 for i in range(count)]
        places = [Place(self.local(p), "array", t) for p, t in zip(points, turned, strict=True)]
        return self.to(*places)

    def vertices(self) -> Chain:
        """Put the corners of the wires just drawn onto the stack."""
        if self.context.edges or not self.stack or any(not p.corners for p in self.stack):
            raise InputError("vertices() is only read after a rectangle or polygon")
        corners = [c for p in self.stack for c in p.corners]
        self.context.budget.spend(len(corners))
        return self.to(*(Place(c) for c in corners))

    # Shapes

    def stamp(self, shape: Shape, turn: float = 0.0, construction: bool = False) -> Chain:
        """Draw a named shape, given about the origin, at every place of the stack."""
        if self.context.edges:
            raise InputError(f"{shape.kind} is drawn while edges are not closed; call .close() first")
        if any(s <= 0 for s in shape.sizes[:2]):
            raise InputError(f"a {shape.kind} needs positive sizes")
        if shape.kind == "slot" and shape.sizes[0] <= shape.sizes[1]:
            raise InputError("a slot must be longer than its diameter")
        places = self.stack or [Place(self.origin)]
        wires = []
        for place in places:
            (x, y), (dx, dy), degrees = place.at, shape.center, place.turn + turn
            if degrees % 360.0 == 0 or shape.kind == "circle" and shape.center == (0.0, 0.0):
                loop = replace(shape, center=(x + dx, y + dy)).loop()
                middle = (x + dx, y + dy)
            else:
                loop = map_loop(shape.loop(), _turned(degrees, place.at))
                middle = _turned(degrees, place.at)(shape.center)
            self.context.budget.spend(len(loop.curves))
            wires.append(Place(middle, "wire", corners=tuple(c.start for c in loop.curves if isinstance(c, Line))))
            if not construction:
                self._pend(loop)
        return self.to(*wires)

    def _pend(self, loop: Loop) -> None:
        if len(self.context.loops) >= MAX_LOOPS:
            raise InputError(f"a sketch has more than {MAX_LOOPS} loops")
        self.context.loops.append((loop, self.height))

    # Edges

    def draw(self, curve: Line | Arc) -> Chain:
        """Add an edge to those that are open."""
        edges = self.context.edges
        if edges and edges[-1].end != curve.start:
            raise InputError("an edge does not start where the one before ends")
        self.context.budget.spend(1)
        edges.append(curve)
        return self.to(Place(curve.end, "edge"))

    def line_to(self, p: Point) -> Chain:
        """Draw a straight edge to a point of the plane."""
        # CadQuery raises an error for an edge of no length; what is meant is clear.
        return self.to(Place(p, "edge")) if p == self.here else self.draw(Line(self.here, p))

    def polyline(self, points: list[Point], include_current: bool) -> Chain:
        """Draw straight edges through points of the moved workplane."""
        if len(points) < (1 if include_current else 2):
            raise InputError("a polyline needs a list of points")
        chain = self
        for i, p in enumerate(points):
            at = self.local(p)
            chain = chain.to(Place(at)) if i == 0 and not include_current else chain.line_to(at)
        return chain

    def arc_to(self, mid: Point, end: Point) -> Chain:
        """Draw an arc through two points of the moved workplane."""
        return self.draw(Arc(self.here, self.local(mid), self.local(end)))

    def close(self) -> Chain:
        """Make a wire of the open edges, with a last straight one where they do not end at their start."""
        edges = self.context.edges
        if not edges or self.here != edges[-1].end:
            raise InputError("close() has no edges to close")
        start, end = edges[0].start, edges[-1].end
        if math.dist(end, start) > SAME_POINT:
            edges.append(Line(end, start))
        elif end != start:
            edges[-1] = replace(edges[-1], end=start)
        if len(edges) < 2:
            raise InputError("close() on a single edge encloses nothing")
        straight = [c.start for c in edges if isinstance(c, Line)]
        loop = closed(straight) if len(straight) == len(edges) else Loop(tuple(edges))
        edges.clear()
        self._pend(loop)
        corners = tuple(c.start for c in loop.curves if not isinstance(c, Circle))
        return self.to(Place(_wire_center(loop), "wire", corners=corners))

    def add(self, other: Chain) -> Chain:
        """Put the other chain's stack onto this one's, in place: the wires are in the common context already."""
        if other.context is not self.context or other.plane != self.plane or other.height != self.height:
            raise InputError("add() is only read for what was drawn on the same workplane")
        self.stack.extend(other.stack)
        return self

    # Solids

    def prism(self, low: float, high: float) -> Body:
        """Take the loops of the context and sweep them from one height over the plane to another."""
        context = self.context
        if context.edges:
            raise InputError("extrude() follows edges that are not closed; call .close() first")
        if not context.loops:
            raise InputError("extrude() has no closed sketch")
        if any(height != self.height for _, height in context.loops):
            raise InputError("extrude() of loops that were drawn at another height is not read")
        loops = [loop for loop, _ in context.loops]
        context.loops.clear()
        if _any_crossing(loops):
            raise InputError("two loops of the sketch cross; CadQuery makes no sound face of them")
        forward, backward = high + self.height, -low - self.height
        return Body((Extrude(Sketch(nest(loops), self.plane), forward + 0.0, backward + 0.0),), fresh=True)


def _turned(degrees: float, about: Point) -> Callable[[Point], Point]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    c, s = (0.0 if abs(c) < 1e-15 else c), (0.0 if abs(s) < 1e-15 else s)
    return lambda p: (about[0] + p[0] * c - p[1] * s, about[1] + p[0] * s + p[1] * c)


def _wire_center(loop: Loop) -> Point:
    """Return the centre of mass of the loop as a thin wire, as CadQuery's ``Wire.Center``."""
    total, sx, sy = 0.0, 0.0, 0.0
    for c in loop.curves:
        if isinstance(c, Circle):
            return c.center
        found = c.circle() if isinstance(c, Arc) else None
        if isinstance(c, Line) or found is None:
            length = math.dist(c.start, c.end)
            x, y = (c.start[0] + c.end[0]) / 2, (c.start[1] + c.end[1]) / 2
        else:
            (cx, cy), r = found
            a0, turn = c.sweep()
            length, reach = r * abs(turn), r * math.sin(turn / 2) / (turn / 2)
            x, y = cx + reach * math.cos(a0 + turn / 2), cy + reach * math.sin(a0 + turn / 2)
        total, sx, sy = total + length, sx + length * x, sy + length * y
    return sx / total, sy / total


def _any_crossing(loops: list[Loop]) -> bool:
    if len(loops) < 2:
        return False
    # Sorted by their left ends, so that only neighbours are compared.
    items = sorted(((loop.bounds(), loop) for loop in loops), key=lambda item: item[0])
    for i, (box, loop) in enumerate(items):
        for other_box, other in items[i + 1 :]:
            if other_box[0] >= box[2]:
                break
            if other_box[1] < box[3] and box[1] < other_box[3] and crossing(loop, other):
                return True
    return False


def default_x(normal: Vector) -> Vector:
    """Return CadQuery's x direction where none is given: the choice of OpenCascade's ``gp_Ax3``."""
    a, b, c = normal
    aa, ba, ca = abs(a), abs(b), abs(c)
    if ba <= aa and ba <= ca:
        return (-c, 0.0, a) if aa > ca else (c, 0.0, -a)
    if aa <= ba and aa <= ca:
        return (0.0, -c, b) if ba > ca else (0.0, c, -b)
    return (-b, a, 0.0) if aa > ba else (b, -a, 0.0)
