"""Programs like a given one but for one thing: a loop of another kind, a hole or an extrude left out or turned round.

A fit moves numbers and keeps the structure. Where it ends short of the picture, one of these is often what it lacks: a
plate with round ends was taken for a box, a pin for a block, a notch was not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from cadcoder.program.types import Arc, Circle, Curve, Extrude, Line, Loop, Operation, Point, Profile, Program, Sketch

#: Loops of more curves are left as they are but for one curve at a time.
MOST_CURVES = 16
#: What is cut from a corner or rounded, and how far a line bulges, as a share of the shorter side or its length.
CORNER, BULGE = 0.3, 0.25


def reshaped(program: Program) -> Iterator[Program]:
    """Yield programs that differ from one in a single loop or extrude."""
    for i, extrude in enumerate(program.extrudes):

        def put(*changed: Extrude, at: int = i) -> Program:
            return Program((*program.extrudes[:at], *changed, *program.extrudes[at + 1 :]))

        if i:
            yield put()
            other = Operation.JOIN if extrude.operation is Operation.CUT else Operation.CUT
            yield put(replace(extrude, operation=other))
            yield put(replace(extrude, forward=extrude.backward, backward=extrude.forward))
        for sketch in _sketches(extrude.sketch):
            yield put(replace(extrude, sketch=sketch))


def _sketches(sketch: Sketch) -> Iterator[Sketch]:
    profiles = sketch.profiles
    for i, profile in enumerate(profiles):

        def put(*changed: Profile, at: int = i) -> Sketch:
            return replace(sketch, profiles=(*profiles[:at], *changed, *profiles[at + 1 :]))

        if len(profiles) > 1:
            yield put()
        for loop in alternatives(profile.outer):
            yield put(replace(profile, outer=loop))
        for j, hole in enumerate(profile.holes):
            rest = profile.holes[:j], profile.holes[j + 1 :]
            yield put(replace(profile, holes=(*rest[0], *rest[1])))
            for loop in alternatives(hole):
                yield put(replace(profile, holes=(*rest[0], loop, *rest[1])))


def alternatives(loop: Loop) -> Iterator[Loop]:
    """Yield loops of about the size and place of one that are of another kind."""
    x0, y0, x1, y1 = loop.bounds()
    first = loop.curves[0]
    if isinstance(first, Circle):
        (x, y), r = first.center, first.radius
        yield _polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        yield _polygon([(x + r * math.cos(math.pi * k / 3), y + r * math.sin(math.pi * k / 3)) for k in range(6)])
        for turn in range(4):
            yield _turned(_half_disc(x, y, r), (x, y), turn)
        return
    if is_rectangle(loop):
        yield from _from_rectangle(x0, y0, x1, y1)
        return
    if (x1 - x0) > 0 and 0.5 < (y1 - y0) / (x1 - x0) < 2:
        yield _circle(x0, y0, x1, y1)
    yield _polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    if len(loop.curves) <= MOST_CURVES:
        yield from _one_curve(loop)


def is_rectangle(loop: Loop) -> bool:
    """Whether a loop is a rectangle along its sketch's axes."""
    if len(loop.curves) != 4 or not all(isinstance(c, Line) for c in loop.curves):
        return False
    x0, y0, x1, y1 = loop.bounds()
    size = max(x1 - x0, y1 - y0)
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    starts = [c.start for c in loop.curves if isinstance(c, Line)]
    return all(min(math.dist(start, corner) for start in starts) < 1e-6 * size for corner in corners)


def _from_rectangle(x0: float, y0: float, x1: float, y1: float) -> Iterator[Loop]:
    w, h = x1 - x0, y1 - y0
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    if 0.5 < h / w < 2:
        yield _circle(x0, y0, x1, y1)
    for turn in range(4):
        for shape in _one_side(*((w, h) if turn % 2 == 0 else (h, w))):
            yield _turned(shape, (0.0, 0.0), turn, middle)
    if not 0.9 < w / h < 1.1:
        yield _turned(_slot(max(w, h), min(w, h)), (0.0, 0.0), int(h > w), middle)
    yield _turned(_rounded(w, h, CORNER * min(w, h)), (0.0, 0.0), 0, middle)
    yield _polygon([(x0, middle[1]), (middle[0], y0), (x1, middle[1]), (middle[0], y1)])


def _one_side(w: float, h: float) -> Iterator[Loop]:
    """Yield rectangles about the origin whose right side or upper right corner is another."""
    a, b, cut = w / 2, h / 2, CORNER * min(w, h)
    foot = [(-a, -b), (a, -b)]
    yield _polygon([*foot, (-a, b)])
    yield _polygon([*foot, (a, 0.0), (0.0, 0.0), (0.0, b), (-a, b)])
    yield _polygon([*foot, (a, b - cut), (a - cut, b), (-a, b)])
    yield _polygon([*foot, (a, -b / 3), (0.0, -b / 3), (0.0, b / 3), (a, b / 3), (a, b), (-a, b)])
    yield _polygon([(-a, -b), (a, -b / 2), (a, b / 2), (-a, b)])
    if b < 2 * a * 0.98:  # the right end round
        start, end = (a - b, -b), (a - b, b)
        yield Loop((Line((-a, -b), start), Arc(start, (a, 0.0), end), Line(end, (-a, b)), Line((-a, b), (-a, -b))))


def _one_curve(loop: Loop) -> Iterator[Loop]:
    """Yield the loop with one corner less, or with one curve straight that was round or round that was straight."""
    curves = loop.curves
    sign = 1.0 if loop.signed_area() > 0 else -1.0
    for i, curve in enumerate(curves):
        if isinstance(curve, Arc):
            yield Loop((*curves[:i], Line(curve.start, curve.end), *curves[i + 1 :]))
        elif isinstance(curve, Line):
            (ax, ay), (bx, by) = curve.start, curve.end
            for bulge in (BULGE, -BULGE):
                mid = (ax + bx) / 2 + sign * bulge * (by - ay), (ay + by) / 2 - sign * bulge * (bx - ax)
                yield Loop((*curves[:i], Arc(curve.start, mid, curve.end), *curves[i + 1 :]))
            following = curves[(i + 1) % len(curves)]
            if len(curves) > 3 and isinstance(following, Line):
                rest = [c for k, c in enumerate(curves) if k not in (i, (i + 1) % len(curves))]
                at = i if i + 1 < len(curves) else len(rest)
                yield Loop((*rest[:at], Line(curve.start, following.end), *rest[at:]))


def _polygon(points: list[Point]) -> Loop:
    return Loop(tuple(Line(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)))


def _circle(x0: float, y0: float, x1: float, y1: float) -> Loop:
    return Loop((Circle(((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0 + y1 - y0) / 4),))


def _half_disc(x: float, y: float, r: float) -> Loop:
    return Loop((Line((x, y + r), (x, y - r)), Arc((x, y - r), (x + r, y), (x, y + r))))


def _slot(w: float, h: float) -> Loop:
    """A rectangle about the origin whose left and right sides are half circles."""
    x, y = (w - h) / 2, h / 2
    a, b, c, d = (-x, -y), (x, -y), (x, y), (-x, y)
    return Loop((Line(a, b), Arc(b, (w / 2, 0.0), c), Line(c, d), Arc(d, (-w / 2, 0.0), a)))


def _rounded(w: float, h: float, r: float) -> Loop:
    """A rectangle about the origin with round corners."""
    x, y, k = w / 2, h / 2, r * (1 - math.sqrt(0.5))
    arcs = [
        Arc((x - r, -y), (x - k, -y + k), (x, -y + r)),
        Arc((x, y - r), (x - k, y - k), (x - r, y)),
        Arc((-x + r, y), (-x + k, y - k), (-x, y - r)),
        Arc((-x, -y + r), (-x + k, -y + k), (-x + r, -y)),
    ]
    pairs = zip(arcs, arcs[1:] + arcs[:1], strict=True)
    return Loop(tuple(curve for arc, following in pairs for curve in (arc, Line(arc.end, following.start))))


def _turned(loop: Loop, about: Point, quarters: int, to: Point | None = None) -> Loop:
    """The loop turned counter-clockwise by quarters about a point, which then comes to lie at another."""
    c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters % 4]
    tx, ty = to if to is not None else about

    def move(p: Point) -> Point:
        x, y = p[0] - about[0], p[1] - about[1]
        return c * x - s * y + tx, s * x + c * y + ty

    return moved(loop, move)


def moved(loop: Loop, move: Callable[[Point], Point]) -> Loop:
    """The loop with its points moved."""
    curves: list[Curve] = []
    for curve in loop.curves:
        if isinstance(curve, Circle):
            curves.append(Circle(move(curve.center), curve.radius))
        elif isinstance(curve, Arc):
            curves.append(Arc(move(curve.start), move(curve.mid), move(curve.end)))
        else:
            curves.append(Line(move(curve.start), move(curve.end)))
    return Loop(tuple(curves))
