"""What the readers share: chaining curves into loops, and loops into profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cadcoder.errors import InputError
from cadcoder.program.types import Arc, Circle, Line, Loop, Point, Profile
from dataset_build.readers.rejects import Reason, Refused

#: Ends further apart than this fraction of the loop's size are an open loop. The published JSON was
#: written with about nine digits; gaps above 1e-6 occur only where a sketch was not closed.
CLOSE_TOLERANCE = 1e-5
#: A loop that encloses less than this fraction of its squared size encloses nothing.
MIN_AREA = 1e-9


def chain(curves: Sequence[Line | Arc], place: str) -> Loop:
    """Return the closed loop that the curves form, turned round and put in order where needed.

    Args:
        curves: at least one line or arc; some may be given backwards, or out of order.
        place: where in the file, for the refusal.

    Raises:
        Refused: ``OPEN_LOOP`` or ``DEGENERATE_LOOP``.
    """
    points = [p for c in curves for p in (c.start, c.end)]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    size = max(max(xs) - min(xs), max(ys) - min(ys))
    limit = CLOSE_TOLERANCE * size
    rest = [c for c in curves if math.dist(c.start, c.end) > limit]
    if not rest:
        raise Refused(Reason.DEGENERATE_LOOP, place, "every curve has length zero")
    done = [rest.pop(0)]
    if rest and min(math.dist(done[0].end, p) for p in (rest[0].start, rest[0].end)) > limit:
        # Most files hold the chain in order, so the second curve tells which way the first one runs.
        if min(math.dist(done[0].start, p) for p in (rest[0].start, rest[0].end)) <= limit:
            done[0] = turned(done[0])
    while rest:
        at = done[-1].end
        gaps = [min(math.dist(at, c.start), math.dist(at, c.end)) for c in rest]
        found = next((i for i, gap in enumerate(gaps) if gap <= limit), None)
        if found is None:
            raise Refused(Reason.OPEN_LOOP, place, f"nothing goes on from ({at[0]:.6g}, {at[1]:.6g})")
        c = rest.pop(found)
        done.append(replace(c if math.dist(at, c.start) <= math.dist(at, c.end) else turned(c), start=at))
    if math.dist(done[-1].end, done[0].start) > limit:
        raise Refused(Reason.OPEN_LOOP, place, "the last curve does not end where the first one starts")
    done[-1] = replace(done[-1], end=done[0].start)
    return closed(done, place)


def closed(curves: Sequence[Line | Arc | Circle], place: str) -> Loop:
    """Return the loop of connected curves.

    Raises:
        Refused: ``DEGENERATE_LOOP``, ``OPEN_LOOP`` or ``BAD_NUMBER``.
    """
    try:
        loop = Loop(tuple(curves))
    except InputError as e:
        reason = Reason.OPEN_LOOP if "open" in str(e) else Reason.BAD_NUMBER
        raise Refused(reason if curves else Reason.DEGENERATE_LOOP, place, str(e)) from e
    if not loop.is_circle:
        if len(curves) < 2 or (len(curves) == 2 and not any(isinstance(c, Arc) for c in curves)):
            raise Refused(Reason.DEGENERATE_LOOP, place, f"{len(curves)} curves enclose nothing")
        x0, y0, x1, y1 = loop.bounds()
        if abs(loop.signed_area()) <= MIN_AREA * max(x1 - x0, y1 - y0) ** 2:
            raise Refused(Reason.DEGENERATE_LOOP, place, "the loop encloses no area")
    return loop


def turned(curve: Line | Arc) -> Line | Arc:
    """Return the curve run the other way."""
    if isinstance(curve, Line):
        return Line(curve.end, curve.start)
    return Arc(curve.end, curve.mid, curve.start)


def nest(loops: Sequence[Loop]) -> list[Profile]:
    """Return the profiles that the loops bound, by containment (the published ``is_outer`` is always true).

    A loop inside an even number of others is an outer one; a loop inside an odd number is a hole of the
    smallest that holds it. The profiles keep the order of their outer loops.
    """
    if len(loops) == 1:
        return [Profile(loops[0])]
    polygons = [loop.polyline(math.pi / 8) for loop in loops]
    areas = [abs(loop.signed_area()) for loop in loops]
    inside: list[list[int]] = [
        [j for j in range(len(loops)) if (areas[j], -j) > (areas[i], -i) and _mostly_in(polygons[i], polygons[j])]
        for i in range(len(loops))
    ]
    holes: dict[int, list[Loop]] = {i: [] for i in range(len(loops)) if len(inside[i]) % 2 == 0}
    for i, around in enumerate(inside):
        if len(around) % 2:
            parent = min((j for j in around if j in holes), key=lambda j: areas[j], default=None)
            if parent is None:  # touching loops can contradict each other; then it bounds a region itself
                holes[i] = []
            else:
                holes[parent].append(loops[i])
    return [Profile(loops[i], tuple(holes[i])) for i in sorted(holes)]


def _mostly_in(points: Sequence[Point], polygon: Sequence[Point]) -> bool:
    """Whether more than half of the points, and of the middles between them, lie inside the polygon."""
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
    probes = [*points, *middles]
    return 2 * sum(_contains(polygon, p) for p in probes) > len(probes)


def _contains(polygon: Sequence[Point], p: Point) -> bool:
    x, y = p
    odd = False
    ax, ay = polygon[-1]
    for bx, by in polygon:
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            odd = not odd
        ax, ay = bx, by
    return odd
