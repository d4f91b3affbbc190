"""Outlines without a name: notched and stepped boxes, bent strips, links, chamfered and ragged shapes."""

from __future__ import annotations

import math

import numpy as np

from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import Arc, Line, Loop, Point
from dataset_build.drawn import mirrored, turned_curve
from dataset_build.growing import Box, Rng, choose


def edited(rng: Rng, box: Box) -> Loop:
    """A box with steps at its corners and notches in its sides, often the same on both sides."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    # Left half of the upper and lower side, as lists of (x, depth from the side) steps going inward.
    symmetric = rng.random() < 0.7
    top, bottom = _skyline(rng, w, h), _skyline(rng, w, h) if rng.random() < 0.4 else [(0.0, 0.0)]
    if symmetric:
        top, bottom = _doubled(top, w), _doubled(bottom, w)
    points = _path([(x0 + x, y0 + d) for x, d in bottom], x1)
    points += list(reversed(_path([(x0 + x, y1 - d) for x, d in top], x1)))
    points = [p for i, p in enumerate(points) if math.dist(p, points[i - 1]) > 1e-6 * max(w, h)]
    if rng.random() < 0.4:
        points = [(y * w / h, x * h / w) for x, y in points]
    return closed(mirrored(rng, points))


def _skyline(rng: Rng, w: float, h: float) -> list[tuple[float, float]]:
    """Return where (x from the left) a side lies how deep: two to four levels, neighbours unlike."""
    n = int(rng.choice([2, 2, 3, 3, 4]))
    levels = [float(v) * h for v in rng.choice([0.0, 0.08, 0.15, 0.25, 0.35, 0.45], size=n, replace=False)]
    levels[int(rng.integers(n))] = 0.0
    if n > 2 and rng.random() < 0.5:
        levels[2] = levels[0]
    widths = rng.uniform(0.3, 1.0, size=n)
    starts = [0.0, *(float(v) for v in np.cumsum(widths)[:-1] / widths.sum())]
    return [(x * w, d) for x, d in zip(starts, levels, strict=True)]


def _doubled(steps: list[tuple[float, float]], w: float) -> list[tuple[float, float]]:
    """Return the steps squeezed into the left half and mirrored into the right."""
    left = [(x / 2, d) for x, d in steps]
    ends = [x for x, _ in left[1:]]
    right = [(w - x, d) for x, d in zip(reversed(ends), reversed([d for _, d in left[:-1]]), strict=True)]
    return [*left, *right]


def _path(steps: list[Point], end: float) -> list[Point]:
    """Return the corners of a flight of steps from left to right."""
    points: list[Point] = []
    for i, (x, y) in enumerate(steps):
        points += [(x, y), (steps[i + 1][0] if i + 1 < len(steps) else end, y)]
    return points


def strip(rng: Rng, box: Box) -> Loop:
    """A strip of one thickness bent at two to four places, as folded sheet or a linkage is, scaled into the box."""
    n = int(rng.choice([2, 3, 3, 4, 5]))
    square = rng.random() < 0.6
    turns = (-90.0, 90.0) if square else (-60.0, -45.0, -30.0, 30.0, 45.0, 60.0, 90.0)
    heading, at = 0.0, (0.0, 0.0)
    spine: list[Point] = [at]
    lengths = [float(rng.uniform(0.35, 1.0)) for _ in range(n)]
    bends = [float(rng.choice(turns)) for _ in range(n - 1)]
    if rng.random() < 0.55:
        lengths = [lengths[min(i, n - 1 - i)] for i in range(n)]
        sign = 1.0 if rng.random() < 0.7 else -1.0
        bends = [bends[i] if i <= n - 2 - i else sign * bends[n - 2 - i] for i in range(n - 1)]
    for i, length in enumerate(lengths):
        at = at[0] + length * math.cos(heading), at[1] + length * math.sin(heading)
        spine.append(at)
        heading += math.radians(bends[i]) if i < n - 1 else 0.0
    thick = float(rng.uniform(0.04, 0.3)) * min(lengths)
    left, right = _offset(spine, thick / 2), _offset(spine, -thick / 2)
    xs, ys = [p[0] for p in left + right], [p[1] for p in left + right]
    scale = min((box[2] - box[0]) / (max(xs) - min(xs)), (box[3] - box[1]) / (max(ys) - min(ys)))
    cx, cy = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    points = [((x - cx) * scale, (y - cy) * scale) for x, y in [*right, *reversed(left)]]
    if _crosses(points):
        return Shape("rect", (box[2] - box[0], box[3] - box[1]), (0.0, 0.0)).loop()
    return closed(mirrored(rng, points))


def _offset(spine: list[Point], by: float) -> list[Point]:
    """Return the line beside a polyline, mitred."""
    out: list[Point] = []
    for i, p in enumerate(spine):
        before, after = spine[max(i - 1, 0) : i + 1], spine[i : i + 2]
        a = _normal(*(before if len(before) == 2 else after))
        b = _normal(*(after if len(after) == 2 else before))
        k = by / (1 + a[0] * b[0] + a[1] * b[1])
        out.append((p[0] + k * (a[0] + b[0]), p[1] + k * (a[1] + b[1])))
    return out


def _normal(a: Point, b: Point) -> Point:
    d = math.dist(a, b)
    return -(b[1] - a[1]) / d, (b[0] - a[0]) / d


def _crosses(points: list[Point]) -> bool:
    """Whether two sides of a polygon that are not neighbours meet."""
    n = len(points)
    sides = [(points[i], points[(i + 1) % n]) for i in range(n)]

    def turn(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    for i in range(n):
        for j in range(i + 2, n - (i == 0)):
            (a, b), (c, d) = sides[i], sides[j]
            if turn(a, b, c) * turn(a, b, d) <= 0 and turn(c, d, a) * turn(c, d, b) <= 0:
                return True
    return False


def hull(rng: Rng, box: Box) -> Loop:
    """Two unlike circles and their outer tangents: a link, a cam, a pear."""
    w, h = box[2] - box[0], box[3] - box[1]
    long, big = max(w, h), min(w, h) / 2
    small = big * float(rng.uniform(0.25, 0.85))
    apart = max(long - big - small, 1.2 * (big - small))
    lean = math.asin((big - small) / apart)
    c, s = math.sin(lean), math.cos(lean)
    left = (big + apart + small) / 2 - big
    # Big circle on the left at -left, small on the right.
    ax, bx = -left, apart - left
    a0, a1 = (ax + big * c, big * s), (ax + big * c, -big * s)
    b0, b1 = (bx + small * c, small * s), (bx + small * c, -small * s)
    curves: list[Line | Arc] = [Arc(a0, (ax - big, 0.0), a1), Line(a1, b1), Arc(b1, (bx + small, 0.0), b0)]
    curves.append(Line(b0, a0))
    turns = int(rng.choice([0, 2])) if w >= h else int(rng.choice([1, 3]))
    return Loop(tuple(turned_curve(q, turns) for q in curves))


def chamfered(rng: Rng, box: Box) -> Loop:
    """An L, U, T or box whose corners are rounded or cut off."""
    from dataset_build.drawn import rectilinear

    base = (
        rectilinear(rng, box)
        if rng.random() < 0.7
        else closed([(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])])
    )
    points = [c.start for c in base.curves if isinstance(c, Line)]
    n = len(points)
    sides = [math.dist(points[i], points[(i + 1) % n]) for i in range(n)]
    r = 0.45 * min(sides) * float(rng.uniform(0.4, 1.0)) if n > 4 else min(sides) * float(rng.uniform(0.08, 0.45))
    which = choose(rng, {"all": 0.35, "some": 0.65})
    chosen = [which == "all" or rng.random() < 0.4 for _ in range(n)]
    if not any(chosen):
        chosen[0] = True
    round_ = rng.random() < 0.6
    curves: list[Line | Arc] = []
    first: Point | None = None
    last: Point | None = None
    for i, p in enumerate(points):
        before, after = points[i - 1], points[(i + 1) % n]
        if chosen[i]:
            a, b = _towards(p, before, r), _towards(p, after, r)
            k = 1 - math.sqrt(0.5)
            # The arc's centre is the fourth corner of the square on p, a, b.
            q = a[0] + b[0] - p[0], a[1] + b[1] - p[1]
            mid = p[0] + k * (q[0] - p[0]), p[1] + k * (q[1] - p[1])
            corner: list[Line | Arc] = [Arc(a, mid, b) if round_ else Line(a, b)]
        else:
            a = b = p
            corner = []
        if last is not None and math.dist(last, a) > 1e-9:
            curves.append(Line(last, a))
        curves += corner
        first, last = first or a, b
    assert first is not None and last is not None
    if math.dist(last, first) > 1e-9:
        curves.append(Line(last, first))
    return Loop(tuple(curves))


def _towards(p: Point, q: Point, by: float) -> Point:
    d = math.dist(p, q)
    return p[0] + by * (q[0] - p[0]) / d, p[1] + by * (q[1] - p[1]) / d


def ragged(rng: Rng, box: Box) -> Loop:
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
        return Shape("rect", (w, h), (0.0, 0.0)).loop()
    last = curves[-1]
    first = curves[0].start
    curves[-1] = Line(last.start, first) if isinstance(last, Line) else Arc(last.start, last.mid, first)
    turns = int(rng.integers(4))
    return Loop(tuple(turned_curve(c, turns) for c in curves))
