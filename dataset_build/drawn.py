"""Outlines with a name: L, T, U and other letters of right angles, triangles and trapezia, shapes with an arc."""

from __future__ import annotations

import math

from cadcoder.program.shapes import closed
from cadcoder.program.types import Arc, Line, Loop, Point
from dataset_build.growing import Box, Rng, choose


def mirrored(rng: Rng, points: list[Point]) -> list[Point]:
    """Return the points mirrored in x, in y, both or neither."""
    fx, fy = float(rng.choice([-1, 1])), float(rng.choice([-1, 1]))
    return [(fx * x, fy * y) for x, y in points]


def rectilinear(rng: Rng, box: Box) -> Loop:
    """L, T, U, Z, plus, step and comb shapes that fill the box."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = choose(rng, {"L": 0.36, "U": 0.2, "T": 0.14, "step": 0.1, "Z": 0.06, "H": 0.04, "plus": 0.04, "comb": 0.06})
    thin = rng.random() < 0.65
    a = w * float(rng.uniform(0.06, 0.3) if thin else rng.uniform(0.2, 0.75))
    b = h * float(rng.uniform(0.06, 0.3) if thin else rng.uniform(0.2, 0.75))
    if thin and rng.random() < 0.6:
        a = b = min(a, b)
    if kind == "L":
        points = [(x0, y0), (x1, y0), (x1, y0 + b), (x0 + a, y0 + b), (x0 + a, y1), (x0, y1)]
        return closed(mirrored(rng, points))
    if kind == "U":
        a = min(a, 0.4 * w)
        points = [
            (x0, y0),
            (x1, y0),
            (x1, y1),
            (x1 - a, y1),
            (x1 - a, y0 + b),
            (x0 + a, y0 + b),
            (x0 + a, y1),
            (x0, y1),
        ]
        return _quarter(rng, points, box)
    if kind == "T":
        points = [(x0, y1), (x0, y1 - b), (-a / 2, y1 - b), (-a / 2, y0), (a / 2, y0), (a / 2, y1 - b), (x1, y1 - b)]
        return _quarter(rng, [*points, (x1, y1)], box)
    if kind == "step":
        points = [(x0, y0), (x1, y0), (x1, y0 + h / 3), (x0 + 2 * w / 3, y0 + h / 3), (x0 + 2 * w / 3, y0 + 2 * h / 3)]
        points += [(x0 + w / 3, y0 + 2 * h / 3), (x0 + w / 3, y1), (x0, y1)]
        return closed(mirrored(rng, points))
    if kind == "Z":
        a = min(a, 0.45 * w)
        b = min(b, 0.45 * h)
        points = [
            (x0, y0),
            (a / 2, y0),
            (a / 2, y1 - b),
            (x1, y1 - b),
            (x1, y1),
            (-a / 2, y1),
            (-a / 2, y0 + b),
            (x0, y0 + b),
        ]
        return closed(mirrored(rng, points))
    if kind == "H":
        a, b = min(a, 0.4 * w), min(b, 0.5 * h)
        points = [(x0, y0), (x0 + a, y0), (x0 + a, -b / 2), (x1 - a, -b / 2), (x1 - a, y0), (x1, y0)]
        return closed([*points, *[(x, -y) for x, y in reversed(points)]])
    if kind == "plus":
        a, b = a / 2, b / 2
        points = [
            (x1, b),
            (a, b),
            (a, y1),
            (-a, y1),
            (-a, b),
            (x0, b),
            (x0, -b),
            (-a, -b),
            (-a, y0),
            (a, y0),
            (a, -b),
            (x1, -b),
        ]
        return closed(points)
    n = int(rng.integers(2, 4))
    tooth = w / (2 * n + 1)
    points = [(x0, y0), (x1, y0)]
    for i in range(n + 1):
        right = x1 - 2 * i * tooth
        points += [(right, y1), (right - tooth, y1)]
        if i < n:
            points += [(right - tooth, y0 + b), (right - 2 * tooth, y0 + b)]
    return _quarter(rng, points, box)


def _quarter(rng: Rng, points: list[Point], box: Box) -> Loop:
    """Return the polygon as it is, upside down, or lying on its side (scaled to fill the box again)."""
    w, h = box[2] - box[0], box[3] - box[1]
    turned = rng.random() < 0.4
    if turned:
        points = [(-y * w / h, x * h / w) for x, y in points]
    return closed(mirrored(rng, points))


def straight(rng: Rng, box: Box) -> Loop:
    """Triangles, trapezia, parallelograms, chamfered and house shapes."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = choose(
        rng, {"right": 0.25, "triangle": 0.12, "trapezium": 0.25, "chamfer": 0.25, "house": 0.08, "rhombus": 0.05}
    )
    t = float(rng.uniform(0.1, 0.45))
    if kind == "right":
        points = [(x0, y0), (x1, y0), (x0, y1)]
    elif kind == "triangle":
        points = [(x0, y0), (x1, y0), (0.0, y1)]
    elif kind == "trapezium":
        right = x1 - t * w if rng.random() < 0.6 else x1
        points = [(x0, y0), (x1, y0), (right, y1), (x0 + t * w, y1)]
    elif kind == "chamfer":
        c = min(w, h) * t
        points = [(x0, y0), (x1, y0), (x1, y1 - c), (x1 - c, y1)]
        points += [(x0 + c, y1), (x0, y1 - c)] if rng.random() < 0.5 else [(x0, y1)]
    elif kind == "house":
        points = [(x0, y0), (x1, y0), (x1, y1 - t * h), (0.0, y1), (x0, y1 - t * h)]
    else:
        points = [(x0, 0.0), (0.0, y0), (x1, 0.0), (0.0, y1)]
    if rng.random() < 0.4:
        points = [(y * w / h, x * h / w) for x, y in points]
    return closed(mirrored(rng, points))


def arcs(rng: Rng, box: Box) -> Loop:
    """Outlines of lines and arcs: tombstones, D shapes, sectors, curved strips, notched and lens shapes."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = choose(rng, {"tomb": 0.3, "half": 0.14, "D": 0.1, "strip": 0.16, "notch": 0.16, "bow": 0.08, "corner": 0.06})
    if kind == "tomb":
        r = w / 2
        top = max(y1 - r, y0 + 0.15 * h)
        loop: list[Line | Arc] = [
            Line((x0, y0), (x1, y0)),
            Line((x1, y0), (x1, top)),
            Arc((x1, top), (0.0, top + r), (x0, top)),
        ]
        loop.append(Line((x0, top), (x0, y0)))
    elif kind == "half":
        r = w / 2
        loop = [Line((-r, 0.0), (r, 0.0)), Arc((r, 0.0), (0.0, r), (-r, 0.0))]
    elif kind == "D":
        r = w / 2
        cut = r * float(rng.uniform(0.2, 0.9))
        half = math.sqrt(r * r - cut * cut)
        loop = [Line((-half, -cut), (half, -cut)), Arc((half, -cut), (0.0, r), (-half, -cut))]
    elif kind == "strip":
        r = w / 2
        inner = r * float(rng.uniform(0.5, 0.93))
        half = math.radians(float(rng.choice([45.0, 60.0, 90.0, 90.0, 90.0, 120.0])))
        a, b = math.pi / 2 - half, math.pi / 2 + half
        pa, pb = (math.cos(a), math.sin(a)), (math.cos(b), math.sin(b))
        outer_a, outer_b = (r * pa[0], r * pa[1]), (r * pb[0], r * pb[1])
        inner_a, inner_b = (inner * pa[0], inner * pa[1]), (inner * pb[0], inner * pb[1])
        loop = [Arc(outer_a, (0.0, r), outer_b), Line(outer_b, inner_b), Arc(inner_b, (0.0, inner), inner_a)]
        loop.append(Line(inner_a, outer_a))
    elif kind == "notch":
        r = min(0.42 * w, 0.8 * h) * float(rng.uniform(0.4, 1.0))
        loop = [Line((x0, y0), (x1, y0)), Line((x1, y0), (x1, y1)), Line((x1, y1), (r, y1))]
        loop += [Arc((r, y1), (0.0, y1 - r), (-r, y1)), Line((-r, y1), (x0, y1)), Line((x0, y1), (x0, y0))]
    elif kind == "bow":
        sag = h * float(rng.uniform(0.1, 0.5))
        loop = [
            Line((x0, y0), (x1, y0)),
            Line((x1, y0), (x1, y1 - sag)),
            Arc((x1, y1 - sag), (0.0, y1), (x0, y1 - sag)),
        ]
        loop.append(Line((x0, y1 - sag), (x0, y0)))
    else:
        r = min(w, h) * float(rng.uniform(0.5, 1.0))
        c = r * math.sqrt(0.5)
        ends = (x0 + r, y0), (x0, y0 + r)
        loop = [Line((x0, y0), ends[0]), Arc(ends[0], (x0 + c, y0 + c), ends[1]), Line(ends[1], (x0, y0))]
    turns = int(rng.integers(4))
    return Loop(tuple(turned_curve(c, turns) for c in loop))


def turned_curve(c: Line | Arc, quarters: int) -> Line | Arc:
    """Return a curve turned about the origin by quarter turns, counter-clockwise."""

    def turn(p: Point) -> Point:
        for _ in range(quarters):
            p = (-p[1] + 0.0, p[0])
        return p

    if isinstance(c, Line):
        return Line(turn(c.start), turn(c.end))
    return Arc(turn(c.start), turn(c.mid), turn(c.end))
