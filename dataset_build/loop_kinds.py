"""What a loop looks like to a person, and how equal circles are laid out: names for counting and for captions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cadcoder.program.shapes import describe
from cadcoder.program.types import Arc, Circle, Line, Loop, Point

#: Two lengths closer than this fraction of the loop's size are the same (8-bit sources are off by 1/190).
TOLERANCE = 2e-3

#: Corners that turn the other way, between two of which this many others lie: the letter of 8-corner outlines.
_LETTERS = {0: "U", 1: "staircase", 2: "T", 3: "Z"}


def loop_kind(loop: Loop) -> str:
    """Return the loop's name, one of a short list, from ``circle`` and ``rectangle`` to ``other lines``."""
    shape = describe(loop)
    if shape is not None and shape.kind in ("circle", "slot"):
        return shape.kind
    curves = [c for c in loop.curves if not isinstance(c, Circle)]
    x0, y0, x1, y1 = loop.bounds()
    eps = TOLERANCE * max(x1 - x0, y1 - y0)
    if any(isinstance(c, Arc) for c in curves):
        return _with_arcs(curves, (x0, y0, x1, y1), eps)
    corners = _corners([c.start for c in curves], eps)
    n = len(corners)
    if all(min(abs(a[0] - b[0]), abs(a[1] - b[1])) <= eps for a, b in _sides(corners)):
        return _rectilinear(corners)
    if n == 3:
        return "triangle"
    if _is_regular(corners, eps):
        return "regular polygon"
    if n == 4:
        return _quadrilateral(corners)
    return "convex polygon" if _is_convex(corners) else "other lines"


def _with_arcs(curves: Sequence[Line | Arc], box: tuple[float, float, float, float], eps: float) -> str:
    lines = [c for c in curves if isinstance(c, Line)]
    arcs = [c for c in curves if isinstance(c, Arc)]
    if len(lines) == 4 and len(arcs) == 4:
        x0, y0, x1, y1 = box
        on_box = all(
            max(min(abs(p[0] - x0), abs(p[0] - x1)) for p in (c.start, c.end)) <= eps
            or max(min(abs(p[1] - y0), abs(p[1] - y1)) for p in (c.start, c.end)) <= eps
            for c in lines
        )
        inner = all(_bulges_out(a, ((x0 + x1) / 2, (y0 + y1) / 2)) for a in arcs)
        if on_box and inner:
            return "rounded rectangle"
    if len(lines) == 2 and len(arcs) == 2:
        return "two lines two arcs"
    if len(lines) == 1 and len(arcs) == 1:
        return "disc segment"
    if len(lines) == 3 and len(arcs) == 1:
        return "three lines one arc"
    if not lines:
        return "arcs only"
    return "other with arcs"


def _bulges_out(arc: Arc, center: Point) -> bool:
    chord = (arc.start[0] + arc.end[0]) / 2, (arc.start[1] + arc.end[1]) / 2
    return math.dist(arc.mid, center) > math.dist(chord, center)


def _corners(points: Sequence[Point], eps: float) -> list[Point]:
    """Return the points without those that lie on the line between their neighbours."""
    kept = []
    n = len(points)
    for i, b in enumerate(points):
        a, c = points[i - 1], points[(i + 1) % n]
        length = max(math.dist(a, c), eps)
        off = abs((c[0] - a[0]) * (b[1] - a[1]) - (c[1] - a[1]) * (b[0] - a[0])) / length
        if off > eps / 4:
            kept.append(b)
    return kept if len(kept) >= 3 else list(points)


def _sides(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(points, [*points[1:], points[0]], strict=True))


def _turns(points: Sequence[Point]) -> list[float]:
    """Return the cross product at each corner; its sign is that of the whole polygon where it is convex."""
    n = len(points)
    out = []
    for i, b in enumerate(points):
        a, c = points[i - 1], points[(i + 1) % n]
        out.append((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))
    return out


def _is_convex(points: Sequence[Point]) -> bool:
    turns = _turns(points)
    return all(t > 0 for t in turns) or all(t < 0 for t in turns)


def _rectilinear(corners: Sequence[Point]) -> str:
    turns, n = _turns(corners), len(corners)
    area = sum(a[0] * b[1] - a[1] * b[0] for a, b in _sides(corners))
    reflex = [i for i, t in enumerate(turns) if t * area < 0]
    if n == 4:
        return "rectangle"
    if n == 6 and len(reflex) == 1:
        return "L"
    if n == 8 and len(reflex) == 2:
        apart = abs(reflex[0] - reflex[1])
        return _LETTERS[min(apart, n - apart) - 1]
    return "rectilinear, 10 or more"


def _is_regular(points: Sequence[Point], eps: float) -> bool:
    n = len(points)
    cx, cy = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    radii = [math.dist(p, (cx, cy)) for p in points]
    sides = [math.dist(a, b) for a, b in _sides(points)]
    return n >= 5 and max(radii) - min(radii) <= 2 * eps and max(sides) - min(sides) <= 4 * eps


def _quadrilateral(points: Sequence[Point]) -> str:
    dirs = [(b[0] - a[0], b[1] - a[1]) for a, b in _sides(points)]

    def along(u: Point, v: Point) -> float:
        both = math.hypot(*u) * math.hypot(*v)
        return abs(u[0] * v[1] - u[1] * v[0]) / both if both else 0.0  # a side of no length goes any way

    parallel = [along(dirs[0], dirs[2]) < 1e-2, along(dirs[1], dirs[3]) < 1e-2]
    if all(parallel):
        return "turned rectangle" if along(dirs[0], dirs[1]) > 1 - 1e-4 else "parallelogram"
    return "trapezoid" if any(parallel) else "other quadrilateral"


def layout(centers: Sequence[Point]) -> str:
    """Return how two or more points lie: ``pair``, ``line``, ``even line``, ``grid``, ``ring`` or ``scattered``."""
    n = len(centers)
    if n < 2:
        return "single"
    if n == 2:
        return "pair"
    xs, ys = [p[0] for p in centers], [p[1] for p in centers]
    size = max(max(xs) - min(xs), max(ys) - min(ys))
    eps = 5 * TOLERANCE * size
    far = max(((a, b) for i, a in enumerate(centers) for b in centers[:i]), key=lambda ab: math.dist(*ab))
    (ax, ay), (bx, by) = far
    d = math.dist(*far)
    if d and all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / d <= eps for x, y in centers):
        t = sorted(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / d for x, y in centers)
        steps = [b - a for a, b in zip(t, t[1:], strict=False)]
        return "even line" if max(steps) - min(steps) <= 2 * eps else "line"
    columns, rows = _distinct(xs, eps), _distinct(ys, eps)
    if len(columns) * len(rows) == n and len(columns) > 1 and len(rows) > 1:
        return "grid"
    cx, cy = sum(xs) / n, sum(ys) / n
    radii = [math.dist(p, (cx, cy)) for p in centers]
    if max(radii) - min(radii) <= 2 * eps:
        angles = sorted(math.atan2(y - cy, x - cx) % (2 * math.pi) for x, y in centers)
        gaps = [(b - a) % (2 * math.pi) for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
        if max(gaps) - min(gaps) <= 0.05:
            return "ring"
    return "scattered"


def _distinct(values: Sequence[float], eps: float) -> list[float]:
    out: list[float] = []
    for v in sorted(values):
        if not out or v - out[-1] > eps:
            out.append(v)
    return out
