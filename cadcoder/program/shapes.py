"""Loops that have a name in CadQuery: circle, rectangle, regular polygon, slot; found and rebuilt.

``describe`` finds the name of a loop, ``Shape.loop`` builds the loop that CadQuery builds for it; the two are
inverse, which is what makes ``parse(emit(p))`` the identity on canonical programs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cadcoder.program.types import Arc, Circle, Curve, Line, Loop, Point

#: Two lengths closer than this fraction of the loop's size are the same.
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Shape:
    """A named loop: ``kind`` (circle, rect, polygon, slot), its sizes as CadQuery takes them, and its centre.

    Sizes: circle (radius), rect (width, height), polygon (sides, circumscribed diameter), slot (length,
    diameter, angle in degrees).
    """

    kind: str
    sizes: tuple[float, ...]
    center: Point

    def loop(self) -> Loop:
        """Return the loop, counter-clockwise from the start that CadQuery gives it."""
        (cx, cy), s = self.center, self.sizes
        if self.kind == "circle":
            return Loop((Circle(self.center, s[0]),))
        if self.kind == "rect":
            w, h = s[0] / 2, s[1] / 2
            return closed([(cx - w, cy - h), (cx + w, cy - h), (cx + w, cy + h), (cx - w, cy + h)])
        if self.kind == "polygon":
            n = round(s[0])
            turns = [2 * math.pi * i / n for i in range(n)]
            return closed([(cx + s[1] / 2 * math.cos(t), cy + s[1] / 2 * math.sin(t)) for t in turns])
        length, diameter, degrees = s
        half, r, t = (length - diameter) / 2, diameter / 2, math.radians(degrees)
        ux, uy = _clean_cos_sin(t)

        def at(along: float, across: float) -> Point:
            return cx + along * ux - across * uy, cy + along * uy + across * ux

        a, b, c, d = at(-half, -r), at(half, -r), at(half, r), at(-half, r)
        return Loop((Line(a, b), Arc(b, at(half + r, 0.0), c), Line(c, d), Arc(d, at(-half - r, 0.0), a)))


def _clean_cos_sin(t: float) -> tuple[float, float]:
    """Cosine and sine, exact where they are 0 or 1, so that upright slots keep round numbers."""
    c, s = math.cos(t), math.sin(t)
    return (0.0 if abs(c) < 1e-15 else c), (0.0 if abs(s) < 1e-15 else s)


def closed(points: list[Point]) -> Loop:
    """Return the closed polygon through the points."""
    return Loop(tuple(Line(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)))


def describe(loop: Loop) -> Shape | None:
    """Return the named shape that the loop is, whatever its start and sense, or None."""
    curves = loop.curves
    first = curves[0]
    if isinstance(first, Circle):
        return Shape("circle", (first.radius,), first.center)
    x0, y0, x1, y1 = loop.bounds()
    eps = TOLERANCE * max(x1 - x0, y1 - y0)
    if all(isinstance(c, Line) for c in curves):
        points = [c.start for c in curves if isinstance(c, Line)]
        return _rect(points, eps) or _regular(points, eps)
    return _slot(curves, eps)


def _rect(points: list[Point], eps: float) -> Shape | None:
    if len(points) != 4:
        return None
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    corners = {(abs(x - x0) <= eps, abs(y - y0) <= eps) for x, y in points}
    on_box = all(min(abs(x - x0), abs(x - x1)) <= eps and min(abs(y - y0), abs(y - y1)) <= eps for x, y in points)
    if len(corners) != 4 or not on_box or x1 - x0 <= eps or y1 - y0 <= eps:
        return None
    turns = [(b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) for a, b, c in _triples(points)]
    if not (all(t > 0 for t in turns) or all(t < 0 for t in turns)):
        return None
    return Shape("rect", (x1 - x0, y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2))


def _triples(points: list[Point]) -> list[tuple[Point, Point, Point]]:
    return list(zip(points, points[1:] + points[:1], points[2:] + points[:2], strict=True))


def _regular(points: list[Point], eps: float) -> Shape | None:
    n = len(points)
    if not 3 <= n <= 12:
        return None
    cx, cy = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    r = sum(math.dist(p, (cx, cy)) for p in points) / n
    expected = Shape("polygon", (float(n), 2 * r), (cx, cy)).loop()
    targets = [c.start for c in expected.curves if isinstance(c, Line)]
    at = [i for i, p in enumerate(points) if math.dist(p, targets[0]) <= 10 * eps]
    if len(at) != 1:
        return None
    for step in (1, -1):
        if all(math.dist(points[(at[0] + step * i) % n], t) <= 10 * eps for i, t in enumerate(targets)):
            return Shape("polygon", (float(n), 2 * r), (cx, cy))
    return None


def _slot(curves: tuple[Curve, ...], eps: float) -> Shape | None:
    if len(curves) != 4:
        return None
    if isinstance(curves[0], Arc):
        curves = curves[1:] + curves[:1]
    a, b, c, d = curves
    if not (isinstance(a, Line) and isinstance(b, Arc) and isinstance(c, Line) and isinstance(d, Arc)):
        return None
    width = math.dist(b.start, b.end)
    length = math.dist(a.start, a.end)
    if width <= eps or length <= eps:
        return None
    ux, uy = (a.end[0] - a.start[0]) / length, (a.end[1] - a.start[1]) / length
    ends = []
    for arc, sign in ((b, 1), (d, -1)):
        middle = (arc.start[0] + arc.end[0]) / 2, (arc.start[1] + arc.end[1]) / 2
        tip = middle[0] + sign * ux * width / 2, middle[1] + sign * uy * width / 2
        if math.dist(tip, arc.mid) > 10 * eps:
            return None
        ends.append(middle)
    if abs(math.dist(*ends) - length) > 10 * eps or abs(math.dist(d.start, d.end) - width) > 10 * eps:
        return None
    degrees = math.degrees(math.atan2(uy, ux)) % 180.0
    if degrees > 180.0 - 1e-6 or degrees < 1e-6:
        degrees = 0.0
    center = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
    rounded = round(degrees, 9)
    return Shape("slot", (length + width, width, rounded), center)
