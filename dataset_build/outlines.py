"""Outlines, holes and point patterns that the synthesiser draws from, in sketch coordinates."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import Arc, Circle, Line, Loop, Point

#: (x min, y min, x max, y max)
Box: TypeAlias = tuple[float, float, float, float]
Rng: TypeAlias = np.random.Generator

#: How often each kind of outline is drawn for a base.
KINDS: dict[str, float] = {
    "rect": 0.35,
    "circle": 0.25,
    "rounded": 0.05,
    "slot": 0.035,
    "polygon": 0.035,
    "rectilinear": 0.11,
    "straight": 0.06,
    "arcs": 0.08,
    "free": 0.04,
}
_OTHER = ("rounded", "slot", "polygon", "rectilinear", "straight", "arcs", "free")


def rect(box: Box) -> Loop:
    """Return the rectangle of a box."""
    x0, y0, x1, y1 = box
    return Shape("rect", (x1 - x0, y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2)).loop()


def circle(center: Point, radius: float) -> Loop:
    """Return a circle."""
    return Loop((Circle(center, radius),))


def inset(box: Box, by: float) -> Box:
    """Return the box made smaller on all sides, by at most nearly half of its smaller side."""
    by = min(by, 0.45 * min(box[2] - box[0], box[3] - box[1]))
    return box[0] + by, box[1] + by, box[2] - by, box[3] - by


def pick(rng: Rng, weights: dict[str, float]) -> str:
    """Return a key, drawn by weight."""
    names = list(weights)
    p = np.array([weights[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def outline(rng: Rng, w: float, h: float, kinds: dict[str, float] | None = None) -> tuple[Loop, str, Box]:
    """Return (loop, kind, box) of an outline about the origin, at most ``w`` wide and ``h`` high.

    Args:
        rng: source of chance.
        w: width of the outline.
        h: height of the outline.
        kinds: weights by kind; ``other`` stands for all but circle and rectangle; None is :data:`KINDS`.
    """
    kind = pick(rng, kinds or KINDS)
    if kind == "other":
        kind = pick(rng, {k: KINDS[k] for k in _OTHER})
    box: Box = (-w / 2, -h / 2, w / 2, h / 2)
    if kind == "circle":
        d = min(w, h) if kinds else w
        return circle((0.0, 0.0), d / 2), kind, (-d / 2, -d / 2, d / 2, d / 2)
    if kind == "rect":
        return rect(box), kind, box
    if kind == "polygon":
        n = int(rng.choice([6, 6, 6, 8, 5, 3]))
        d = min(w, h)
        loop = Shape("polygon", (float(n), d), (0.0, 0.0)).loop()
        if rng.random() < 0.4:
            turn = math.pi / 2
            loop = closed([_turned(c.start, turn) for c in loop.curves if isinstance(c, Line)])
        r = d / 2 * math.cos(math.pi / n)
        return loop, kind, (-r, -r, r, r)
    if kind == "slot":
        long, short = max(w, h), min(w, h)
        if long < 1.15 * short:
            short = 0.5 * long
        angle = 0.0 if w >= h else 90.0
        loop = Shape("slot", (long, short, angle), (0.0, 0.0)).loop()
        return loop, kind, loop.bounds()
    if kind == "rounded":
        r = min(w, h) * float(rng.uniform(0.06, 0.4))
        return rounded(box, r, rng.random() < 0.85, rng), kind, box
    if kind == "rectilinear":
        return _rectilinear(rng, box), kind, box
    if kind == "straight":
        return _straight(rng, box), kind, box
    loop = _arcs(rng, box) if kind == "arcs" else _free(rng, box)
    return loop, kind, loop.bounds()


def _turned(p: Point, angle: float) -> Point:
    c, s = math.cos(angle), math.sin(angle)
    return c * p[0] - s * p[1], s * p[0] + c * p[1]


def _mirrored(rng: Rng, points: list[Point]) -> list[Point]:
    """Return the points mirrored in x, in y, both or neither."""
    fx, fy = float(rng.choice([-1, 1])), float(rng.choice([-1, 1]))
    return [(fx * x, fy * y) for x, y in points]


def rounded(box: Box, r: float, every: bool, rng: Rng) -> Loop:
    """Return a rectangle with rounded corners: every corner, or the two of one side."""
    x0, y0, x1, y1 = box
    which = [True] * 4
    if not every:
        k = int(rng.integers(4))
        which = [i in (k, (k + 1) % 4) for i in range(4)]
    corners = [(x0, y0, 1, 1), (x1, y0, -1, 1), (x1, y1, -1, -1), (x0, y1, 1, -1)]
    c = r * (1 - math.sqrt(0.5))
    pieces: list[tuple[Point, Point, Point]] = []
    for i, (x, y, sx, sy) in enumerate(corners):
        if not which[i]:
            pieces.append(((x, y), (x, y), (x, y)))
            continue
        along_x, along_y = (x + sx * r, y), (x, y + sy * r)
        start, end = (along_y, along_x) if i % 2 == 0 else (along_x, along_y)
        pieces.append((start, (x + sx * c, y + sy * c), end))
    curves: list[Line | Arc] = []
    for i, (start, mid, end) in enumerate(pieces):
        if start != end:
            curves.append(Arc(start, mid, end))
        following = pieces[(i + 1) % 4][0]
        if math.dist(end, following) > 1e-9:
            curves.append(Line(end, following))
    return Loop(tuple(curves))


def _rectilinear(rng: Rng, box: Box) -> Loop:
    """L, T, U, Z, plus, step and comb shapes that fill the box."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = pick(rng, {"L": 0.36, "U": 0.2, "T": 0.14, "step": 0.1, "Z": 0.06, "H": 0.04, "plus": 0.04, "comb": 0.06})
    thin = rng.random() < 0.5
    a = w * float(rng.uniform(0.06, 0.3) if thin else rng.uniform(0.2, 0.75))
    b = h * float(rng.uniform(0.06, 0.3) if thin else rng.uniform(0.2, 0.75))
    if thin and rng.random() < 0.6:
        a = b = min(a, b)
    if kind == "L":
        points = [(x0, y0), (x1, y0), (x1, y0 + b), (x0 + a, y0 + b), (x0 + a, y1), (x0, y1)]
        return closed(_mirrored(rng, points))
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
        return closed(_mirrored(rng, points))
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
        return closed(_mirrored(rng, points))
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
    return closed(_mirrored(rng, points))


def _straight(rng: Rng, box: Box) -> Loop:
    """Triangles, trapezia, parallelograms, chamfered and house shapes."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = pick(
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
    return closed(_mirrored(rng, points))


def _arcs(rng: Rng, box: Box) -> Loop:
    """Outlines of lines and arcs: tombstones, D shapes, sectors, curved strips, notched and lens shapes."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = pick(rng, {"tomb": 0.3, "half": 0.14, "D": 0.1, "strip": 0.16, "notch": 0.16, "bow": 0.08, "corner": 0.06})
    if kind == "tomb":
        r = w / 2
        top = max(y1 - r, y0 + 0.15 * h)
        loop = [Line((x0, y0), (x1, y0)), Line((x1, y0), (x1, top)), Arc((x1, top), (0.0, top + r), (x0, top))]
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
    return Loop(tuple(_turned_curve(c, turns) for c in loop))


def _free(rng: Rng, box: Box) -> Loop:
    """Outlines without a name: corners of a ragged box, some sides bowed, sometimes the same on both sides."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    n = int(rng.integers(2, 5))
    heights = [y0 + h * float(rng.uniform(0.15, 1.0)) for _ in range(n)]
    heights[int(rng.integers(n))] = y1
    cuts = [x0, *sorted(x0 + w * float(rng.uniform(0.08, 0.92)) for _ in range(n - 1)), x1]
    points: list[Point] = [(x0, y0)]
    for i in range(n - 1, -1, -1):
        slope = heights[i] if rng.random() < 0.6 else y0 + h * float(rng.uniform(0.15, 1.0))
        points += [(cuts[i + 1], heights[i]), (cuts[i], slope)]
    points.insert(1, (x1, y0))
    if rng.random() < 0.4:
        # The right half mirrored: symmetric about x = 0.
        half = [((x - x0) / 2, y) for x, y in points[1:-1]]
        points = [*half, *[(-x, y) for x, y in reversed(half)]]
        points = [p for i, p in enumerate(points) if i == 0 or math.dist(p, points[i - 1]) > 0.02 * max(w, h)]
    curves: list[Line | Arc] = []
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        length = math.dist(a, b)
        if length < 0.02 * max(w, h):
            continue
        start = curves[-1].end if curves else a
        bow = float(rng.choice([0.5, 0.3, 0.2, -0.3, -0.2])) if rng.random() < 0.12 else 0.0
        if bow and length < 0.6 * max(w, h):
            mid = (a[0] + b[0]) / 2 + bow * (b[1] - a[1]), (a[1] + b[1]) / 2 - bow * (b[0] - a[0])
            curves.append(Arc(start, mid, b))
        else:
            curves.append(Line(start, b))
    if len(curves) < 3:
        return rect(box)
    last = curves[-1]
    first = curves[0].start
    curves[-1] = Line(last.start, first) if isinstance(last, Line) else Arc(last.start, last.mid, first)
    turns = int(rng.integers(4))
    return Loop(tuple(_turned_curve(c, turns) for c in curves))


def _turned_curve(c: Line | Arc, quarters: int) -> Line | Arc:
    def turn(p: Point) -> Point:
        for _ in range(quarters):
            p = (-p[1] + 0.0, p[0])
        return p

    if isinstance(c, Line):
        return Line(turn(c.start), turn(c.end))
    return Arc(turn(c.start), turn(c.mid), turn(c.end))


def pattern(rng: Rng, box: Box) -> tuple[list[Point], float]:
    """Return (points, room): a pattern of places in a box and the largest radius that fits round each."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    small = min(w, h)
    kind = pick(rng, {"corners": 0.36, "pair": 0.3, "row": 0.12, "grid": 0.08, "ring": 0.14})
    if kind == "corners":
        edge = small * float(rng.uniform(0.1, 0.24))
        points = [(cx + sx * (w / 2 - edge), cy + sy * (h / 2 - edge)) for sx in (-1, 1) for sy in (-1, 1)]
        return points, edge * 0.9
    if kind == "pair":
        if w >= h:
            reach = w / 2 - min(0.5 * h, 0.25 * w) * float(rng.uniform(0.4, 1.0))
            return [(cx - reach, cy), (cx + reach, cy)], 0.9 * min(w / 2 - reach, h / 2, reach)
        reach = h / 2 - min(0.5 * w, 0.25 * h) * float(rng.uniform(0.4, 1.0))
        return [(cx, cy - reach), (cx, cy + reach)], 0.9 * min(h / 2 - reach, w / 2, reach)
    if kind == "row":
        n = int(rng.integers(3, 7))
        if w >= h:
            return [(x0 + w * (i + 0.5) / n, cy) for i in range(n)], 0.45 * min(w / n, h)
        return [(cx, y0 + h * (i + 0.5) / n) for i in range(n)], 0.45 * min(h / n, w)
    if kind == "grid":
        nx, ny = int(rng.integers(2, 5)), int(rng.integers(2, 4))
        points = [(x0 + w * (i + 0.5) / nx, y0 + h * (j + 0.5) / ny) for i in range(nx) for j in range(ny)]
        return points, 0.45 * min(w / nx, h / ny)
    n = int(rng.choice([3, 4, 4, 5, 6, 6, 8]))
    r = small / 2 * float(rng.uniform(0.6, 0.85))
    start = float(rng.choice([0.0, 0.5])) * 2 * math.pi / n
    points = [
        (cx + r * math.cos(start + 2 * math.pi * i / n), cy + r * math.sin(start + 2 * math.pi * i / n))
        for i in range(n)
    ]
    return points, 0.85 * min(small / 2 - r, r * math.sin(math.pi / n))


def holes_for(rng: Rng, kind: str, box: Box, bare: float | None = None) -> list[Loop]:
    """Return holes for an outline of a kind that fills a box about the origin.

    Args:
        rng: source of chance.
        kind: what :func:`outline` said.
        box: what :func:`outline` said.
        bare: chance of none; None follows the kind.
    """
    w, h = box[2] - box[0], box[3] - box[1]
    small = min(w, h)
    chance = {"circle": 0.45, "rect": 0.62, "rounded": 0.35, "slot": 0.35, "polygon": 0.4}
    if rng.random() < (chance.get(kind, 1.0 if kind != "arcs" else 0.9) if bare is None else bare):
        return []
    if kind == "circle":
        what = pick(rng, {"bore": 0.74, "ring": 0.1, "bore+ring": 0.08, "shape": 0.08})
    elif kind == "slot":
        what = "ends"
    elif kind == "polygon":
        what = "bore"
    elif kind in ("rect", "rounded"):
        what = pick(rng, {"pattern": 0.46, "bore": 0.22, "frame": 0.14, "shape": 0.08, "bore+pattern": 0.1})
    else:
        return []
    r_in = small / 2 * float(rng.triangular(0.1, 0.5, 0.95) if kind == "circle" else rng.uniform(0.12, 0.8))
    out: list[Loop] = []
    if what in ("bore", "bore+ring", "bore+pattern"):
        if what != "bore":
            r_in *= 0.55
        out.append(circle((0.0, 0.0), r_in))
    if what == "frame":
        out.append(rect(inset(box, small * float(rng.uniform(0.04, 0.3)))))
    elif what == "shape":
        inner = inset(box, small * float(rng.uniform(0.25, 0.38)))
        kinds = {"polygon": 0.3, "rect": 0.4, "slot": 0.3}
        out.append(outline(rng, inner[2] - inner[0], inner[3] - inner[1], kinds=kinds)[0])
    elif what == "ends":
        reach = max(w, h) / 2 - small / 2
        r = small / 2 * float(rng.uniform(0.25, 0.8))
        out += [circle((s * reach, 0.0) if w >= h else (0.0, s * reach), r) for s in (-1, 1)]
    elif what in ("ring", "bore+ring"):
        n = int(rng.choice([3, 4, 4, 6, 6, 8]))
        reach = small / 2 * float(rng.uniform(0.62, 0.82))
        r = min(small / 2 - reach, reach * math.sin(math.pi / n)) * float(rng.uniform(0.3, 0.8))
        t0 = float(rng.choice([0.0, 0.5])) * 2 * math.pi / n
        turns = [t0 + 2 * math.pi * i / n for i in range(n)]
        out += [circle((reach * math.cos(t), reach * math.sin(t)), r) for t in turns]
        if what == "bore+ring":
            out[0] = circle((0.0, 0.0), min(r_in, 0.85 * (reach - r)))
    elif what in ("pattern", "bore+pattern"):
        points, room = pattern(rng, box)
        r = room * float(rng.uniform(0.3, 0.85))
        if what == "bore+pattern":
            points = [p for p in points if math.hypot(*p) > r_in + 1.2 * r]
        out += [circle(p, r) for p in points]
    return out
