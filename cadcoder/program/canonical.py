"""Canonical programs: one form for the many ways of writing the same sketch-extrude part.

Loops run counter-clockwise from a fixed start, collinear segments are merged, loops are nested into
profiles by containment and sorted, planes parallel to a coordinate plane become ``XY``, ``XZ`` or ``YZ`` with
their origin on the normal through zero, and the whole part can be moved and scaled.
"""

from __future__ import annotations

import math
from dataclasses import replace

from cadcoder.errors import InputError
from cadcoder.program.nesting import arranged, ordered
from cadcoder.program.nesting import nest as nest
from cadcoder.program.shapes import TOLERANCE, describe
from cadcoder.program.types import (
    STANDARD_PLANES,
    Arc,
    Circle,
    Curve,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Point,
    Profile,
    Program,
    Sketch,
    Vector,
)


def canonical(program: Program) -> Program:
    """Return the canonical form of a program; it builds the same solid."""
    return Program(tuple(part for e in program.extrudes for part in _canonical_extrude(e)))


def _canonical_extrude(extrude: Extrude) -> list[Extrude]:
    extrude = based_plane(standard_plane(extrude))
    profiles = tuple(
        Profile(canonical_loop(p.outer), tuple(ordered([canonical_loop(h) for h in p.holes])))
        for p in extrude.sketch.profiles
    )
    return arranged(replace(extrude, sketch=replace(extrude.sketch, profiles=profiles)))


def based_plane(extrude: Extrude) -> Extrude:
    """Return the extrude on its plane: one that begins off its plane gets the plane where it begins."""
    forward, backward, plane = extrude.forward, extrude.backward, extrude.sketch.plane
    if forward >= 0 and backward >= 0:
        return extrude
    shift = -backward if backward < 0 else forward
    base = replace(plane, origin=plane.to_world((0.0, 0.0), shift))
    return replace(
        extrude, sketch=replace(extrude.sketch, plane=base), forward=forward - shift, backward=backward + shift
    )


def canonical_loop(loop: Loop) -> Loop:
    """Return the loop counter-clockwise, without null or split segments, from its canonical start.

    The start is that of CadQuery's own shape where the loop has a name, else the lowest of the leftmost ends.
    """
    loop = _merge(loop)
    shape = describe(loop)
    if shape is not None:
        return shape.loop()
    curves = list(loop.curves)
    if loop.signed_area() < 0:
        curves = [_reversed(c) for c in reversed(curves)]
    x0, y0, x1, y1 = loop.bounds()
    eps = TOLERANCE * max(x1 - x0, y1 - y0)
    starts = [_ends(c)[0] for c in curves]
    left = min(p[0] for p in starts)
    first = min((i for i, p in enumerate(starts) if p[0] <= left + eps), key=lambda i: starts[i][1])
    return Loop(tuple(curves[first:] + curves[:first]))


def _ends(curve: Curve) -> tuple[Point, Point]:
    if isinstance(curve, Circle):
        raise InputError("a circle has no ends")
    return curve.start, curve.end


def _reversed(curve: Curve) -> Curve:
    if isinstance(curve, Line):
        return Line(curve.end, curve.start)
    if isinstance(curve, Arc):
        return Arc(curve.end, curve.mid, curve.start)
    return curve


def _merge(loop: Loop) -> Loop:
    """Drop null segments, straighten flat arcs, and join collinear neighbours."""
    if loop.is_circle:
        return loop
    x0, y0, x1, y1 = loop.bounds()
    eps = TOLERANCE * max(x1 - x0, y1 - y0)
    curves: list[Line | Arc] = []
    for c in loop.curves:
        if isinstance(c, Circle) or (math.dist(c.start, c.end) <= eps and isinstance(c, Line)):
            continue
        if isinstance(c, Arc) and c.circle() is None:
            c = Line(c.start, c.end)
        curves.append(c)
    merged: list[Line | Arc] = []
    for c in curves:
        if merged and _collinear(merged[-1], c, eps):
            c = Line(merged.pop().start, c.end)
        merged.append(c)
    while len(merged) > 2 and _collinear(merged[-1], merged[0], eps):
        merged[0] = Line(merged.pop().start, merged[0].end)
    if len(merged) < 2:
        raise InputError("a loop encloses nothing: its segments lie on one line")
    return Loop(tuple(merged))


def _collinear(a: Line | Arc, b: Line | Arc, eps: float) -> bool:
    if not (isinstance(a, Line) and isinstance(b, Line)):
        return False
    ax, ay = a.end[0] - a.start[0], a.end[1] - a.start[1]
    bx, by = b.end[0] - b.start[0], b.end[1] - b.start[1]
    off = abs(ax * by - ay * bx) / max(math.hypot(ax, ay), math.hypot(bx, by))
    return off <= eps and ax * bx + ay * by > 0


def standard_plane(extrude: Extrude) -> Extrude:
    """Return the extrude on ``XY``, ``XZ`` or ``YZ`` with its origin on the normal, where its plane allows it."""
    x, y, n = extrude.sketch.plane.axes()
    for name in ("XY", "XZ", "YZ"):
        sx, sn = STANDARD_PLANES[name]
        facing = _dot(n, sn)
        if abs(abs(facing) - 1) > 1e-9:
            continue
        target = Plane((0.0, 0.0, 0.0), sx, sn)
        _, sy, _ = target.axes()
        o = extrude.sketch.plane.origin
        # In-plane map from the old sketch coordinates to the standard ones: p -> base + p.x u + p.y v.
        base = _dot(o, sx), _dot(o, sy)
        u, v = _snapped(_dot(x, sx), _dot(x, sy)), _snapped(_dot(y, sx), _dot(y, sy))
        height = _dot(o, sn)
        origin = (height * sn[0] + 0.0, height * sn[1] + 0.0, height * sn[2] + 0.0)

        def move(p: Point, base: Point = base, u: Point = u, v: Point = v) -> Point:
            return base[0] + p[0] * u[0] + p[1] * v[0], base[1] + p[0] * u[1] + p[1] * v[1]

        profiles = tuple(
            Profile(map_loop(p.outer, move), tuple(map_loop(h, move) for h in p.holes)) for p in extrude.sketch.profiles
        )
        forward, backward = (extrude.forward, extrude.backward) if facing > 0 else (extrude.backward, extrude.forward)
        return Extrude(Sketch(profiles, replace(target, origin=origin)), forward, backward, extrude.operation)
    return extrude


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _snapped(a: float, b: float) -> Point:
    """Axis directions that are round but for the last bits of a rotation become exactly round."""
    return (float(round(a)) if abs(a - round(a)) < 1e-12 else a), (float(round(b)) if abs(b - round(b)) < 1e-12 else b)


def map_loop(loop: Loop, move: object, scale: float = 1.0) -> Loop:
    """Return the loop with every point mapped by ``move`` (a similarity of the plane) and radii by ``scale``."""
    m = move
    assert callable(m)
    out: list[Curve] = []
    for c in loop.curves:
        if isinstance(c, Line):
            out.append(Line(m(c.start), m(c.end)))
        elif isinstance(c, Arc):
            out.append(Arc(m(c.start), m(c.mid), m(c.end)))
        else:
            out.append(Circle(m(c.center), c.radius * scale))
    return Loop(tuple(out))


def scaled(program: Program, factor: float, shift: Vector = (0.0, 0.0, 0.0)) -> Program:
    """Return the program moved by ``shift`` (in its old unit) and then scaled about the origin."""
    out = []
    for e in program.extrudes:
        plane = e.sketch.plane
        origin = tuple((o + d) * factor for o, d in zip(plane.origin, shift, strict=True))

        def move(p: Point) -> Point:
            return p[0] * factor, p[1] * factor

        profiles = tuple(
            Profile(map_loop(p.outer, move, factor), tuple(map_loop(h, move, factor) for h in p.holes))
            for p in e.sketch.profiles
        )
        moved = Sketch(profiles, replace(plane, origin=(origin[0], origin[1], origin[2])))
        out.append(Extrude(moved, e.forward * factor, e.backward * factor, e.operation))
    return Program(tuple(out))


def centered(program: Program) -> Program:
    """Return the canonical program with the first sketch's box centred on the origin, on its plane.

    This is the frame that the model writes in: the first sketch needs no origin, and what is symmetric has
    coordinates that say so.
    """
    first = based_plane(standard_plane(program.extrudes[0])).sketch
    boxes = [p.outer.bounds() for p in first.profiles]
    cx = (min(b[0] for b in boxes) + max(b[2] for b in boxes)) / 2
    cy = (min(b[1] for b in boxes) + max(b[3] for b in boxes)) / 2
    w = first.plane.to_world((cx, cy))
    return canonical(scaled(program, 1.0, (-w[0], -w[1], -w[2])))


def merge_new_bodies(program: Program) -> Program:
    """Return the program with every later new body joined: what the ``gencad`` dialect can say."""
    first, *rest = program.extrudes
    joined = (replace(e, operation=Operation.JOIN) if e.operation is Operation.NEW else e for e in rest)
    return Program((first, *joined))
