"""How two closed loops of one sketch lie: whether they touch, cross, coincide, or one holds the other.

Circles are compared exactly; other loops as polygons, with the chord error of their arcs as tolerance.
"""

from __future__ import annotations

import math

from cadcoder.program.types import Arc, Circle, Line, Loop, Point

#: Loops closer than this fraction of the larger one's size touch.
NEAR = 1e-6
#: Loops that reach into each other by less than this fraction of the smaller one's size only touch.
DEEP = 1e-3
_STEP = math.pi / 36

Segment = tuple[Point, Point]
Box = tuple[float, float, float, float]


def touching(a: Loop, b: Loop) -> bool:
    """Whether the two curves meet or cross; CadQuery makes unsound faces of such loops in one sketch."""
    return _meet(a, b, deep=False)


def crossing(a: Loop, b: Loop) -> bool:
    """Whether each loop runs both inside and outside the other, so that nesting says nothing."""
    return _meet(a, b, deep=True)


def _meet(a: Loop, b: Loop, deep: bool) -> bool:
    box_a, box_b = a.bounds(), b.bounds()
    sizes = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (box_a, box_b)]
    slack = -DEEP * min(sizes) if deep else NEAR * max(sizes)
    if not _overlap(box_a, box_b, slack) or _within(box_a, b, box_b, slack) or _within(box_b, a, box_a, slack):
        return False
    first, second = a.curves[0], b.curves[0]
    if isinstance(first, Circle) and isinstance(second, Circle):
        d = math.dist(first.center, second.center)
        return abs(first.radius - second.radius) - slack <= d <= first.radius + second.radius + slack
    chord = (1.0 - math.cos(_STEP / 2)) * max(_largest_radius(a), _largest_radius(b))
    slack += -chord if deep else chord
    if isinstance(first, Circle):
        return _circle_meets(first, b, slack)
    if isinstance(second, Circle):
        return _circle_meets(second, a, slack)
    near_a = [(s, box) for s in segments(a) if _overlap(box := _box(s), box_b, abs(slack))]
    near_b = [(s, box) for s in segments(b) if _overlap(box := _box(s), box_a, abs(slack))]
    if deep:
        # Segments that cross have boxes that overlap, which is quicker to tell.
        return any(_overlap(p, q, 0.0) and _cross(s, t, -slack) for s, p in near_a for t, q in near_b)
    return any(_overlap(p, q, slack) and _gap(s, t) <= slack for s, p in near_a for t, q in near_b)


def _largest_radius(loop: Loop) -> float:
    found = (c.circle() for c in loop.curves if isinstance(c, Arc))
    return max((f[1] for f in found if f is not None), default=0.0)


def segments(loop: Loop) -> list[Segment]:
    """Return the loop's polygon edge by edge."""
    points = loop.polyline(_STEP)
    return list(zip(points, points[1:] + points[:1], strict=True))


def _overlap(a: Box, b: Box, slack: float) -> bool:
    return a[0] <= b[2] + slack and b[0] <= a[2] + slack and a[1] <= b[3] + slack and b[1] <= a[3] + slack


def _within(inner: Box, loop: Loop, box: Box, slack: float) -> bool:
    """Whether the inner box lies inside a loop that is an upright rectangle, without touching it."""
    if len(loop.curves) != 4 or any(
        not isinstance(c, Line) or (c.start[0] != c.end[0] and c.start[1] != c.end[1]) for c in loop.curves
    ):
        return False
    return (
        inner[0] > box[0] + slack
        and inner[1] > box[1] + slack
        and inner[2] < box[2] - slack
        and inner[3] < box[3] - slack
    )


def _box(s: Segment) -> Box:
    (ax, ay), (bx, by) = s
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def _circle_meets(circle: Circle, loop: Loop, slack: float) -> bool:
    """Whether the loop passes through the ring of width ``slack`` about the circle (it is connected)."""
    lines = segments(loop)
    nearest = min(_to_segment(circle.center, s) for s in lines)
    farthest = max(math.dist(circle.center, s[0]) for s in lines)
    return nearest <= circle.radius + slack and farthest >= circle.radius - slack


def _to_segment(p: Point, s: Segment) -> float:
    (ax, ay), (bx, by) = s
    dx, dy = bx - ax, by - ay
    square = dx * dx + dy * dy
    t = 0.0 if square == 0 else max(0.0, min(1.0, ((p[0] - ax) * dx + (p[1] - ay) * dy) / square))
    return math.hypot(p[0] - ax - t * dx, p[1] - ay - t * dy)


def _side(s: Segment, p: Point) -> float:
    """Return the signed distance of a point from the line through a segment."""
    (ax, ay), (bx, by) = s
    length = math.hypot(bx - ax, by - ay)
    return 0.0 if length == 0 else ((bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax)) / length


def _cross(s: Segment, t: Segment, depth: float) -> bool:
    """Whether the segments cross with all four ends farther than ``depth`` from the other's line."""
    a, b, c, d = _side(t, s[0]), _side(t, s[1]), _side(s, t[0]), _side(s, t[1])
    return min(abs(a), abs(b), abs(c), abs(d)) > depth and (a > 0) != (b > 0) and (c > 0) != (d > 0)


def _gap(s: Segment, t: Segment) -> float:
    if _cross(s, t, 0.0):
        return 0.0
    return min(_to_segment(s[0], t), _to_segment(s[1], t), _to_segment(t[0], s), _to_segment(t[1], s))


def inner_point(loop: Loop) -> Point:
    """Return a point inside the loop, off its curve."""
    first = loop.curves[0]
    if isinstance(first, Circle):
        return first.center
    lines = segments(loop)
    ys = sorted({s[0][1] for s in lines})
    # The widest gap between two heights where the polygon has a corner: no corner is near its middle.
    low, high = max(zip(ys, ys[1:], strict=False), key=lambda g: g[1] - g[0], default=(ys[0], ys[0]))
    y = (low + high) / 2
    xs = sorted(ax + (bx - ax) * (y - ay) / (by - ay) for (ax, ay), (bx, by) in lines if (ay > y) != (by > y))
    if len(xs) < 2:
        return lines[0][0]
    left, right = max(zip(xs[::2], xs[1::2], strict=False), key=lambda g: g[1] - g[0])
    return (left + right) / 2, y


def holds(loop: Loop, point: Point) -> bool:
    """Whether the point lies inside the loop."""
    first = loop.curves[0]
    if isinstance(first, Circle):
        return math.dist(point, first.center) < first.radius
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in segments(loop):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def inside(a: Loop, b: Loop) -> bool:
    """Whether the first of two loops that do not cross lies inside the second."""
    return abs(a.signed_area()) < abs(b.signed_area()) and holds(b, inner_point(a))


def coincide(a: Loop, b: Loop) -> bool:
    """Whether the two loops are the same curve, whatever their starts and senses."""
    first, second = a.curves[0], b.curves[0]
    box_a, box_b = a.bounds(), b.bounds()
    eps = NEAR * max(box_a[2] - box_a[0], box_a[3] - box_a[1])
    if len(a.curves) != len(b.curves) or any(abs(v - w) > eps for v, w in zip(box_a, box_b, strict=True)):
        return False
    if isinstance(first, Circle) or isinstance(second, Circle):
        return isinstance(first, Circle) and isinstance(second, Circle)
    ends = [c.start for c in b.curves if not isinstance(c, Circle)]
    if any(min(math.dist(c.start, e) for e in ends) > eps for c in a.curves if not isinstance(c, Circle)):
        return False
    area = abs(a.signed_area())
    return abs(abs(b.signed_area()) - area) <= 1e-6 * area
