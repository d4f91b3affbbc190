"""Random sketch-extrude programs for hypothesis: every kind of loop, pattern, plane, extent and operation."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from cadcoder.program import Arc, Circle, Extrude, Line, Loop, Operation, Plane, Point, Profile, Program, Sketch
from cadcoder.program.canonical import map_loop
from cadcoder.program.shapes import Shape, closed

EXTENTS = ("one", "against", "symmetric", "two", "off")


@st.composite
def lengths(draw, low: float, high: float) -> float:
    """Lengths as a person writes them, or as a file holds them."""
    if draw(st.booleans()):
        return max(low, min(high, round(draw(st.floats(low, high)) * 2) / 2))
    return draw(st.floats(low, high))


def _star(draw, r: float, arcs: bool) -> Loop:
    """A simple polygon about the origin with corners between 0.6 r and r; some edges bulge outwards."""
    n = draw(st.integers(4, 9))
    turns = [2 * math.pi * (i + draw(st.floats(-0.3, 0.3))) / n for i in range(n)]
    radii = [r * draw(st.floats(0.7, 0.95)) for _ in range(n)]
    points = [(q * math.cos(t), q * math.sin(t)) for q, t in zip(radii, turns, strict=True)]
    curves: list[Line | Arc] = []
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        if arcs and draw(st.booleans()):
            mx, my = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
            grow = 1 + draw(st.floats(0.02, 0.05))
            curves.append(Arc(a, (mx * grow, my * grow), b))
        else:
            curves.append(Line(a, b))
    return Loop(tuple(curves))


def _rounded(r: float, h: float, c: float) -> Loop:
    """A rectangle of half sides r and h with corners rounded by c."""
    k = c * (1 - math.sqrt(0.5))
    x, y = r - c, h - c
    curves: list[Line | Arc] = []
    ends = [((-x, -h), (x, -h)), ((r, -y), (r, y)), ((x, h), (-x, h)), ((-r, y), (-r, -y))]
    mids = [(r - k, -h + k), (r - k, h - k), (-r + k, h - k), (-r + k, -h + k)]
    for (a, b), m, (start, _) in zip(ends, mids, ends[1:] + ends[:1], strict=True):
        curves += [Line(a, b), Arc(b, m, start)]
    return Loop(tuple(curves))


@st.composite
def outlines(draw, r: float) -> tuple[Loop, float]:
    """A loop about the origin within radius r, and the radius of a disc about the origin that it holds."""
    kind = draw(st.sampled_from(["rect", "circle", "polygon", "slot", "star", "arcs", "rounded", "lens"]))
    if kind == "rect":
        w, h = draw(lengths(r, 1.4 * r)), draw(lengths(0.6 * r, 1.4 * r))
        return Shape("rect", (w, h), (0.0, 0.0)).loop(), 0.5 * min(w, h)
    if kind == "circle":
        return Loop((Circle((0.0, 0.0), r),)), r
    if kind == "polygon":
        n = draw(st.integers(3, 10))
        return Shape("polygon", (float(n), 2 * r), (0.0, 0.0)).loop(), r * math.cos(math.pi / n)
    if kind == "slot":
        d = draw(lengths(0.5 * r, 1.2 * r))
        angle = draw(st.one_of(st.sampled_from([0.0, 30.0, 45.0, 90.0, 135.0]), st.floats(0.0, 179.9)))
        return Shape("slot", (2 * r, d, angle), (0.0, 0.0)).loop(), d / 2
    if kind == "rounded":
        h = draw(st.floats(0.5, 0.7)) * r
        return _rounded(0.7 * r, h, h * draw(st.floats(0.2, 0.8))), 0.8 * h
    if kind == "lens":
        a, b = (-r, 0.0), (r, 0.0)
        return Loop((Arc(a, (0.0, -0.8 * r), b), Arc(b, (0.0, 0.5 * r), a))), 0.4 * r
    return _star(draw, r, kind == "arcs"), 0.4 * r


def moved(loop: Loop, dx: float, dy: float) -> Loop:
    return map_loop(loop, lambda p: (p[0] + dx, p[1] + dy))


@st.composite
def disguised(draw, loop: Loop) -> Loop:
    """The same loop from another start, in another sense, or with an edge split."""
    curves = list(loop.curves)
    if isinstance(curves[0], Circle):
        return loop
    if draw(st.booleans()) and isinstance(curves[0], Line):
        a, b = curves[0].start, curves[0].end
        m = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        curves[:1] = [Line(a, m), Line(m, b)]
    k = draw(st.integers(0, len(curves) - 1))
    curves = curves[k:] + curves[:k]
    if draw(st.booleans()):
        back = {Line: lambda c: Line(c.end, c.start), Arc: lambda c: Arc(c.end, c.mid, c.start)}
        curves = [back[type(c)](c) for c in reversed(curves)]
    return Loop(tuple(curves))


@st.composite
def places(draw, r: float) -> tuple[list[Point], float]:
    """Centres in a disc of radius r about the origin, and the radius that each may take."""
    kind = draw(st.sampled_from(["one", "grid", "row", "ring", "list"]))
    if kind == "one":
        return [(0.0, 0.0)], 0.7 * r
    if kind == "grid":
        nx, ny = draw(st.integers(2, 3)), draw(st.integers(2, 4))
        d = 1.3 * r / max(nx, ny)
        dx, dy = draw(lengths(0.7 * d, d)), draw(lengths(0.7 * d, d))
        xs, ys = [dx * (i - (nx - 1) / 2) for i in range(nx)], [dy * (j - (ny - 1) / 2) for j in range(ny)]
        return draw(st.permutations([(x, y) for x in xs for y in ys])), 0.4 * min(dx, dy)
    if kind == "row":
        n = draw(st.integers(2, 5))
        d = 1.5 * r / n
        return [(d * (i - (n - 1) / 2), 0.1 * r) for i in range(n)], 0.4 * d
    if kind == "ring":
        n = draw(st.integers(3, 8))
        start = draw(st.one_of(st.sampled_from([0.0, 45.0, 30.0]), st.floats(0.0, 120.0)))
        turns = [math.radians(start + 360 * i / n) for i in range(n)]
        q = 0.7 * r
        return [(q * math.cos(t), q * math.sin(t)) for t in turns], min(0.25 * r, 0.4 * 2 * q * math.sin(math.pi / n))
    cells = draw(st.lists(st.integers(0, 8), min_size=1, max_size=5, unique=True))
    d = 0.45 * r
    return [(d * (c % 3 - 1), d * (c // 3 - 1)) for c in cells], 0.45 * d


@st.composite
def profiles(draw, r: float, depth: int = 0) -> list[Profile]:
    """A profile about the origin within radius r, with holes, and islands in the holes."""
    outer, inner = draw(outlines(r))
    holes: list[Loop] = []
    islands: list[Profile] = []
    if draw(st.booleans()):
        centers, q = draw(places(0.9 * inner))
        hole, room = draw(outlines(q))
        for c in centers:
            if draw(st.integers(0, 5)) == 0:
                hole, room = draw(outlines(q))
            holes.append(moved(hole, *c))
        if depth == 0 and draw(st.integers(0, 3)) == 0:
            x, y = centers[-1]
            for p in draw(profiles(0.8 * room, 1)):
                islands.append(Profile(moved(p.outer, x, y), tuple(moved(h, x, y) for h in p.holes)))
    return [Profile(outer, tuple(holes)), *islands]


@st.composite
def planes(draw, offset: float) -> Plane:
    origin = tuple(draw(st.one_of(st.just(0.0), lengths(-offset, offset))) for _ in range(3))
    kind = draw(st.sampled_from(["XY", "XY", "standard", "flipped", "oblique"]))
    if kind == "XY":
        return Plane(origin)
    unit = st.floats(-1.0, 1.0)
    if kind == "oblique":
        a, b = draw(unit) * math.pi, draw(unit) * 1.4
        x = (-math.sin(a), math.cos(a), 0.0)
        return Plane(origin, x, (math.cos(a) * math.cos(b), math.sin(a) * math.cos(b), math.sin(b)))
    i, j = draw(st.permutations(range(3)))[:2]
    signs = (
        (1.0, 1.0)
        if kind == "standard"
        else draw(st.tuples(st.sampled_from([1.0, -1.0]), st.sampled_from([1.0, -1.0])))
    )
    axes = [[0.0] * 3, [0.0] * 3]
    axes[0][i], axes[1][j] = signs
    return Plane(origin, tuple(axes[0]), tuple(axes[1]))


@st.composite
def extrudes(draw, operation: Operation, size: float, depth: float) -> Extrude:
    found: list[Profile] = []
    if draw(st.integers(0, 3)) == 0:  # several profiles
        centers, q = draw(places(size))
        drawn = draw(profiles(q))
        for x, y in centers:
            found += [Profile(moved(p.outer, x, y), tuple(moved(h, x, y) for h in p.holes)) for p in drawn]
    else:
        shift = draw(st.one_of(st.just((0.0, 0.0)), st.tuples(lengths(-size, size), lengths(-size, size))))
        found = [
            Profile(moved(p.outer, *shift), tuple(moved(h, *shift) for h in p.holes)) for p in draw(profiles(size))
        ]
    mixed = [Profile(draw(disguised(p.outer)), tuple(draw(disguised(h)) for h in p.holes)) for p in found]
    a, b = draw(lengths(0.1 * depth, depth)), draw(lengths(0.1 * depth, depth))
    ends = {"one": (a, 0.0), "against": (0.0, a), "symmetric": (a, a), "two": (a, b), "off": (a + b, -b)}
    forward, backward = ends[draw(st.sampled_from(EXTENTS))]
    return Extrude(Sketch(tuple(mixed), draw(planes(0.3 * size))), forward, backward, operation)


@st.composite
def programs(draw, most: int = 4) -> Program:
    """Programs of parts about 50 to 200 across."""
    first = draw(extrudes(Operation.NEW, draw(lengths(20.0, 60.0)), 30.0))
    later = []
    for _ in range(draw(st.integers(0, most - 1))):
        operation = draw(
            st.sampled_from([Operation.JOIN, Operation.CUT, Operation.CUT, Operation.INTERSECT, Operation.NEW])
        )
        size = 60.0 if operation is Operation.INTERSECT else draw(lengths(5.0, 30.0))
        later.append(draw(extrudes(operation, size, 40.0)))
    return Program((first, *later))


def rectangle(w: float, h: float, at: Point = (0.0, 0.0)) -> Loop:
    return Shape("rect", (w, h), at).loop()


def polygon(*points: Point) -> Loop:
    return closed(list(points))
