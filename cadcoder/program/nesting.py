"""Loops of a sketch sorted into profiles: by containment, in an order that rounding does not change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cadcoder.errors import InputError
from cadcoder.program.regions import coincide, crossing, holds, inner_point
from cadcoder.program.types import Extrude, Loop, Operation, Profile

#: Loops whose areas, or places, differ by less than this fraction (of the area, of the sketch) rank as equal.
EQUAL = 1e-6


def nest(loops: Iterable[Loop]) -> tuple[Profile, ...]:
    """Sort loops into profiles: a loop inside an odd number of others is a hole of the smallest around it.

    The order is fixed: larger outer loops first, then by place; the same for the holes of each. Two loops that
    coincide cancel: a disc that fills a hole.

    Raises:
        InputError: if nothing is left.
    """
    items = _without_pairs(ordered(list(loops)))
    if not items:
        raise InputError("the loops of the sketch coincide two by two and enclose nothing")
    boxes = [loop.bounds() for loop in items]
    around: list[list[int]] = []
    for i, loop in enumerate(items):
        p = inner_point(loop)
        inside = [j for j in range(i) if boxes[j][0] <= p[0] <= boxes[j][2] and boxes[j][1] <= p[1] <= boxes[j][3]]
        around.append([j for j in inside if holds(items[j], p)])
    profiles: dict[int, Profile] = {i: Profile(items[i]) for i in range(len(items)) if len(around[i]) % 2 == 0}
    for i, outside in enumerate(around):
        if len(outside) % 2 == 1:
            k = next((j for j in reversed(outside) if j in profiles), outside[0])
            if k not in profiles:
                raise InputError("the loops of the sketch cross each other")
            profiles[k] = replace(profiles[k], holes=(*profiles[k].holes, items[i]))
    return tuple(profiles.values())


def ordered(loops: list[Loop]) -> list[Loop]:
    """Return the loops by area, the largest first, those of one area by place, from the left and from below."""
    if len(loops) < 2:
        return loops
    areas = [math.log(max(abs(loop.signed_area()), 1e-300)) for loop in loops]
    boxes = [loop.bounds() for loop in loops]
    xs, ys = [(b[0] + b[2]) / 2 for b in boxes], [(b[1] + b[3]) / 2 for b in boxes]
    size = max(max(b[2] for b in boxes) - min(b[0] for b in boxes), max(b[3] for b in boxes) - min(b[1] for b in boxes))
    keys = zip(_ranks([-a for a in areas], EQUAL), _ranks(xs, EQUAL * size), _ranks(ys, EQUAL * size), strict=True)
    return [loop for _, loop in sorted(zip(keys, loops, strict=True), key=lambda pair: pair[0])]


def _ranks(values: Sequence[float], gap: float) -> list[int]:
    """Return the rank of each value, the same for neighbours that are closer than ``gap``."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0] * len(values)
    for before, i in zip(order, order[1:], strict=False):
        ranks[i] = ranks[before] + (values[i] - values[before] > gap)
    return ranks


def _without_pairs(loops: list[Loop]) -> list[Loop]:
    """Return the loops, in order, less those that coincide with another, two by two."""
    left: list[tuple[float, Loop]] = []  # with the place of the lowest edge, which twins share
    for loop in loops:
        x0, y0, x1, y1 = loop.bounds()
        slack = 2 * EQUAL * max(x1 - x0, y1 - y0)
        near = [i for i in range(len(left)) if abs(left[i][0] - y0) <= slack]
        twin = next((i for i in near if coincide(left[i][1], loop)), None)
        if twin is None:
            left.append((y0, loop))
        else:
            del left[twin]
    return [loop for _, loop in left]


def arranged(extrude: Extrude) -> list[Extrude]:
    """Return the extrude with its loops nested anew.

    Profiles that overlap, of which the nesting of their loops would say something else, become extrudes of their
    own, and profiles that are given twice become one.
    """
    given: list[Profile] = []
    for p in extrude.sketch.profiles:
        if not any(_same(p, q) for q in given):
            given.append(p)
    if len(given) == 1 or _apart(given):
        return [replace(extrude, sketch=replace(extrude.sketch, profiles=nest(_loops(given))))]
    groups: list[list[Profile]] = []
    for p in given:
        fitting = next((g for g in groups if _apart([*g, p])), None)
        if fitting is None:
            groups.append([p])
        else:
            fitting.append(p)
    if extrude.operation is Operation.INTERSECT and len(groups) > 1:
        return [extrude]  # an intersection with a union is not a run of intersections
    later = Operation.JOIN if extrude.operation is Operation.NEW else extrude.operation
    made = [replace(extrude, sketch=replace(extrude.sketch, profiles=nest(_loops(g)))) for g in groups]
    return [made[0], *(replace(e, operation=later) for e in made[1:])]


def _loops(profiles: Iterable[Profile]) -> list[Loop]:
    return [loop for p in profiles for loop in p.loops()]


def _same(p: Profile, q: Profile) -> bool:
    return len(p.holes) == len(q.holes) and all(coincide(a, b) for a, b in zip(p.loops(), q.loops(), strict=True))


def _apart(profiles: Sequence[Profile]) -> bool:
    """Whether no two profiles have a common area."""
    return not any(overlapping(p, q) for i, p in enumerate(profiles) for q in profiles[:i])


def overlapping(p: Profile, q: Profile) -> bool:
    """Whether two profiles have a common area, or cross."""
    a, b = p.outer.bounds(), q.outer.bounds()
    if a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]:
        return False
    if crossing(p.outer, q.outer):
        return True
    small, large = (p, q) if abs(p.outer.signed_area()) < abs(q.outer.signed_area()) else (q, p)
    point = inner_point(small.outer)
    if not holds(large.outer, point):
        return False
    # Inside the other's outer loop: apart only as an island in one of its holes.
    around = [h for h in large.holes if holds(h, point) and not crossing(h, small.outer)]
    return not any(abs(h.signed_area()) >= abs(small.outer.signed_area()) * (1 - EQUAL) for h in around)
