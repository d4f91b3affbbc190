"""Sketches as real files have them, made fit for a script: regions that touch become one, equal sketches too.

Onshape gives a sketch as the regions between its curves, and an extrude may name several that share edges, or a
ring and the disc in it. CadQuery takes the loops of a sketch by nesting alone, so such regions must be united first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cadcoder.program.canonical import standard_plane
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.types import Arc, Circle, Extrude, Line, Loop, Operation, Point, Profile, Program, Sketch
from dataset_build.readers.loops import nest, turned
from dataset_build.readers.rejects import Refused

#: Two points closer than this fraction of the sketch's size are the same.
TOLERANCE = 1e-5

Curve = Line | Arc


def united(program: Program) -> Program:
    """Return the program with the touching regions of every sketch united; the same solid where that succeeds.

    Regions whose common edges are not cut at the same points stay as they are (see :func:`separated`).
    """
    out = []
    for e in program.extrudes:
        profiles = _without_repeats(e.sketch.profiles)
        out.append(replace(e, sketch=replace(e.sketch, profiles=_unite(profiles) or profiles)))
    return Program(tuple(out))


def separated(program: Program) -> Program:
    """Return the program with an extrude for each group of regions whose boxes are apart; the same solid."""
    out: list[Extrude] = []
    for e in program.extrudes:
        groups: list[list[Profile]] = []
        for p in _without_repeats(e.sketch.profiles):
            for group in groups:
                if all(_apart(p, q) for q in group):
                    group.append(p)
                    break
            else:
                groups.append([p])
        for k, group in enumerate(groups):
            later = Operation.JOIN if e.operation is Operation.NEW else e.operation
            made = replace(e, sketch=replace(e.sketch, profiles=tuple(group)))
            out.append(made if k == 0 else replace(made, operation=later))
    # An intersection with a union cannot be written as a run of intersections.
    broken = any(e.operation is Operation.INTERSECT for e in program.extrudes) and len(out) > len(program.extrudes)
    return program if broken else Program(tuple(out))


def joined(program: Program) -> Program:
    """Return the program with runs of like extrudes of one plane and depth made one; the same solid.

    8-bit sequences hold one profile an extrude, so that four holes are four cuts.
    """
    out: list[Extrude] = []
    for e in (standard_plane(e) for e in program.extrudes):
        last = out[-1] if out else None
        if last is not None and _alike(last, e):
            if all(_apart(p, q) for p in e.sketch.profiles for q in last.sketch.profiles):
                both = (*last.sketch.profiles, *e.sketch.profiles)
                out[-1] = replace(last, sketch=replace(last.sketch, profiles=both))
                continue
        out.append(e)
    return Program(tuple(out))


def on_grid(program: Program, step: float, _fine: float = 0.0, _small: float = 0.0) -> Program:
    """Return the canonical program with every place rounded, so that what met still meets to the last digit.

    :func:`cadcoder.program.snap.snap` rounds widths, which reads better but can part a face from another; takes its
    arguments, and uses the first.
    """

    def at(v: float) -> float:
        return round(v / step) * step

    def point(p: Point) -> Point:
        return at(p[0]), at(p[1])

    def loop(given: Loop) -> Loop:
        shape = describe(given)
        if shape is not None and shape.kind != "rect":
            sizes = [max(step, at(v)) for v in shape.sizes[:2]]
            if shape.kind == "polygon":
                sizes[0] = shape.sizes[0]
            return Shape(shape.kind, (*sizes, *shape.sizes[2:]), point(shape.center)).loop()
        curves: list[Line | Arc] = []
        for c in given.curves:
            if isinstance(c, Circle) or point(c.start) == point(c.end):
                continue
            arc = Arc(point(c.start), point(c.mid), point(c.end)) if isinstance(c, Arc) else None
            straight = arc is None or arc.circle() is None
            curves.append(Line(point(c.start), point(c.end)) if straight or arc is None else arc)
        return Loop(tuple(curves))

    out = []
    for e in program.extrudes:
        n = e.sketch.plane.axes()[2]
        height = sum(a * b for a, b in zip(e.sketch.plane.origin, n, strict=True))
        low, base, high = at(height - e.backward), at(height), at(height + e.forward)
        o = [v + (base - height) * d for v, d in zip(e.sketch.plane.origin, n, strict=True)]
        profiles = tuple(Profile(loop(p.outer), tuple(map(loop, p.holes))) for p in e.sketch.profiles)
        sketch = Sketch(profiles, replace(e.sketch.plane, origin=(o[0], o[1], o[2])))
        out.append(replace(e, sketch=sketch, forward=high - base, backward=base - low))
    return Program(tuple(out))


def _alike(a: Extrude, b: Extrude) -> bool:
    same = a.operation is b.operation or (a.operation is Operation.NEW and b.operation is Operation.JOIN)
    if not same or a.operation is Operation.INTERSECT:
        return False
    depth = a.forward + a.backward
    numbers = zip(
        (a.forward, a.backward, *a.sketch.plane.origin), (b.forward, b.backward, *b.sketch.plane.origin), strict=True
    )
    turn = zip(
        (*a.sketch.plane.x_dir, *a.sketch.plane.normal), (*b.sketch.plane.x_dir, *b.sketch.plane.normal), strict=True
    )
    return all(abs(p - q) <= 1e-6 * depth for p, q in numbers) and all(abs(p - q) <= 1e-9 for p, q in turn)


def _apart(a: Profile, b: Profile) -> bool:
    p, q = a.outer.bounds(), b.outer.bounds()
    gap = max(p[0] - q[2], q[0] - p[2], p[1] - q[3], q[1] - p[3])
    return gap > TOLERANCE * max(p[2] - p[0], p[3] - p[1], q[2] - q[0], q[3] - q[1])


def _without_repeats(profiles: Sequence[Profile]) -> tuple[Profile, ...]:
    """Return the profiles without those named twice."""
    seen = set()
    out = []
    for p in profiles:
        x0, y0, x1, y1 = p.outer.bounds()
        unit = TOLERANCE * 100 * max(x1 - x0, y1 - y0)
        key = tuple(round(v / unit) for v in (x0, y0, x1, y1)), round(_area(p) / unit / unit / 1e3), len(p.holes)
        if key not in seen:
            seen.add(key)
            out.append(p)
    return tuple(out)


def _area(p: Profile) -> float:
    return abs(p.outer.signed_area()) - sum(abs(h.signed_area()) for h in p.holes)


def _unite(profiles: tuple[Profile, ...]) -> tuple[Profile, ...] | None:
    """Return the union of regions that meet along whole curves, or None where that is not what they do."""
    if len(profiles) < 2:
        return None
    boxes = [p.outer.bounds() for p in profiles]
    size = max(max(b[2] for b in boxes) - min(b[0] for b in boxes), max(b[3] for b in boxes) - min(b[1] for b in boxes))
    eps = TOLERANCE * size
    circles: list[tuple[Circle, bool]] = []
    curves: list[Curve] = []
    for p in profiles:
        for k, loop in enumerate(p.loops()):
            first = loop.curves[0]
            if isinstance(first, Circle):
                _cancel_circle(circles, first, k == 0, eps)
            else:
                for c in _oriented(loop, k == 0):
                    _cancel(curves, c, eps)
    if len(circles) + len(curves) == sum(len(loop.curves) for p in profiles for loop in p.loops()):
        return None
    loops = _chained(curves, eps)
    if loops is None:
        return None
    try:
        found = tuple(nest([*loops, *(Loop((c,)) for c, _ in circles)]))
    except Refused:
        return None
    before, after = (sum(_area(p) for p in ps) for ps in (profiles, found))
    return found if math.isclose(before, after, rel_tol=1e-6) else None


def _oriented(loop: Loop, outer: bool) -> list[Curve]:
    """Return the loop's curves with the region on their left."""
    curves = [c for c in loop.curves if not isinstance(c, Circle)]
    if (loop.signed_area() > 0) is outer:
        return curves
    return [turned(c) for c in reversed(curves)]


def _cancel_circle(kept: list[tuple[Circle, bool]], circle: Circle, outer: bool, eps: float) -> None:
    for i, (c, is_outer) in enumerate(kept):
        if is_outer is not outer and math.dist(c.center, circle.center) <= eps and abs(c.radius - circle.radius) <= eps:
            del kept[i]
            return
    kept.append((circle, outer))


def _cancel(kept: list[Curve], curve: Curve, eps: float) -> None:
    """Add a curve, or take out the one that runs the other way along the same path."""
    back = turned(curve)
    for i, c in enumerate(kept):
        if type(c) is not type(back) or math.dist(c.start, back.start) > eps or math.dist(c.end, back.end) > eps:
            continue
        if isinstance(c, Arc) and isinstance(back, Arc) and math.dist(c.mid, back.mid) > eps:
            continue
        del kept[i]
        return
    kept.append(curve)


def _chained(curves: list[Curve], eps: float) -> list[Loop] | None:
    """Return the loops of directed curves, or None where they do not close or meet in a point of four."""
    rest = list(curves)
    loops = []
    while rest:
        run = [rest.pop(0)]
        while math.dist(run[-1].end, run[0].start) > eps:
            following = [i for i, c in enumerate(rest) if math.dist(c.start, run[-1].end) <= eps]
            if len(following) != 1:
                return None
            run.append(replace(rest.pop(following[0]), start=run[-1].end))
        run[-1] = replace(run[-1], end=run[0].start)
        if len(run) < 2:
            return None
        loops.append(Loop(tuple(run)))
    return loops
