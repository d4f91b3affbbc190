"""A synthesiser of sketch-extrude parts whose statistics follow DeepCAD's.

``sample(seed)`` is a part on the default model's grid: longest side 100, first sketch centred on the origin. A part
grows from a base (a prism over an outline with holes) by features in the base's frame: bosses, pockets, walls, legs,
steps, cross holes, neighbours. What does not build, falls apart or changes nothing is drawn again from the same
stream, so a seed gives the same part everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program import Extrude, Loop, Operation, Plane, Program, Sketch, centered, emit, parse, scaled
from cadcoder.program.canonical import map_loop, nest, standard_plane
from cadcoder.program.shapes import Shape, closed, describe
from cadcoder.program.snap import FINE, snap
from cadcoder.program.types import Point, Vector
from dataset_build.outlines import Box, circle, holes_for, inset, outline, pattern, rect

#: Longest side of a part in the unit of its program.
LONGEST = 100.0
#: Most characters of a part's script.
MAX_CODE = 900

Rng = np.random.Generator


@dataclass
class _Part:
    """A part while it grows: features in the local frame (u, v, w), and the boxes of what was added.

    ``boxes`` are (box in u and v, low w, high w) of the solids that features may stand on.
    """

    axes: tuple[Vector, Vector, Vector]
    extrudes: list[Extrude] = field(default_factory=list)
    boxes: list[tuple[Box, float, float]] = field(default_factory=list)

    def on_top(self, loops: list[Loop], low: float, high: float, operation: Operation) -> None:
        """Add a prism over the u-v plane from ``low`` to ``high`` (``high < low``: swept downward)."""
        u, _, w = self.axes
        plane = Plane((w[0] * low, w[1] * low, w[2] * low), u, w)
        self._add(loops, plane, high - low, operation)

    def on_side(self, loops: list[Loop], axis: int, low: float, high: float, operation: Operation) -> None:
        """Add a prism over the v-w plane (``axis`` 0) or the u-w plane (``axis`` 1) between two places along it."""
        u, v, _ = self.axes
        along, x = (u, v) if axis == 0 else (tuple(-c for c in v), u)
        start, end = (low, high) if axis == 0 else (-low, -high)
        plane = Plane((along[0] * start, along[1] * start, along[2] * start), x, (along[0], along[1], along[2]))
        self._add(loops, plane, end - start, operation)

    def _add(self, loops: list[Loop], plane: Plane, length: float, operation: Operation) -> None:
        operation = operation if self.extrudes else Operation.NEW
        made = Extrude(Sketch(nest(loops), plane), max(length, 0.0), max(-length, 0.0), operation)
        self.extrudes.append(standard_plane(made))


def sample(seed: int) -> Program:
    """Return the part of a seed.

    Args:
        seed: any non-negative integer.

    Returns:
        A canonical program that builds to one closed body, its longest side 100 within the grid, and that
        ``parse(emit(program, step=0.5))`` gives back.
    """
    return sample_solid(seed)[0]


def sample_solid(seed: int) -> tuple[Program, Solid]:
    """Return the part of a seed and the solid that it builds; see :func:`sample`."""
    rng = np.random.default_rng([seed, 1])
    while True:
        try:
            found = _finish(_grow(rng))
        except InputError:
            continue  # did not build, or lost a loop to the grid: draw again
        if found is not None:
            return found


def _finish(raw: Program) -> tuple[Program, Solid] | None:
    """Return the part scaled, centred and on the grid, and its solid, or None where it is not worth having."""
    text = emit(snap(centered(scaled(raw, LONGEST / _longest(raw)))), "plain", FINE)
    if len(text) > MAX_CODE:
        return None
    program = parse(text)
    solid = build(program)
    extent = np.ptp(solid.bounds, axis=0)
    if solid.n_bodies != 1 or not 97.0 <= extent.max() <= 103.0 or extent.min() < 0.5:
        return None
    n = len(program.extrudes)
    steps = [build(Program(program.extrudes[: i + 1]), math.pi / 12) for i in range(n if n > 1 else 0)]
    if any(_unchanged(a, b) for a, b in zip(steps, steps[1:], strict=False)):
        return None
    return program, solid


def _longest(program: Program) -> float:
    """Return the longest side of the box round all that is added; what is cut off it shows in the solid only."""
    corners = []
    for e in program.extrudes:
        if e.operation is not Operation.CUT:
            boxes = [p.outer.bounds() for p in e.sketch.profiles]
            for x, y in ((b[i], b[j]) for b in boxes for i in (0, 2) for j in (1, 3)):
                corners += [e.sketch.plane.to_world((x, y), h) for h in (-e.backward, e.forward)]
    return float(np.ptp(np.array(corners), axis=0).max())


def _unchanged(before: Solid, after: Solid) -> bool:
    """Whether a feature does so little that no picture shows it."""
    changed = abs(after.volume - before.volume) > 2e-4 * before.volume
    return not changed and bool(np.allclose(before.bounds, after.bounds, atol=0.5))


_FRAMES: dict[str, tuple[Vector, Vector, Vector]] = {
    "XY": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "XZ": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "YZ": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
}


def _choose(rng: Rng, weights: dict[str, float]) -> str:
    names = list(weights)
    p = np.array([weights[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def _grow(rng: Rng) -> Program:
    frame = _choose(rng, {"XY": 0.53, "XZ": 0.37, "YZ": 0.10})
    part = _Part(_FRAMES[frame])
    kind = _choose(rng, {"base": 0.84, "shaft": 0.09, "blocks": 0.07})
    if kind == "shaft":
        _shaft(rng, part)
    elif kind == "blocks":
        _blocks(rng, part)
    else:
        _base(rng, part)
    count = int(rng.choice([0, 1, 2, 3, 4], p=[0.54, 0.23, 0.13, 0.06, 0.04]))
    if kind != "base":
        count = int(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1]))
    for _ in range(count):
        _feature(rng, part)
    program = Program(tuple(part.extrudes))
    return _boxes_lie_flat(program)


def _boxes_lie_flat(program: Program) -> Program:
    """A plain box has no plane of its own: it is written on XY, so that one picture has one script."""
    first = program.extrudes[0]
    loops = list(first.sketch.loops())
    plane = first.sketch.plane
    if len(loops) != 1 or plane.normal == (0.0, 0.0, 1.0) or len(loops[0].curves) != 4:
        return program
    shape = describe(loops[0])
    if shape is None or shape.kind != "rect":
        return program
    x0, y0, x1, y1 = loops[0].bounds()
    a, b = plane.to_world((x0, y0), -first.backward), plane.to_world((x1, y1), first.forward)
    low, high = [min(p) for p in zip(a, b, strict=True)], [max(p) for p in zip(a, b, strict=True)]
    flat = Shape("rect", (high[0] - low[0], high[1] - low[1]), ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2)).loop()
    made = Extrude(Sketch(nest([flat]), Plane((0.0, 0.0, low[2]))), high[2] - low[2], 0.0, Operation.NEW)
    return Program((made, *program.extrudes[1:]))


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _proportions(rng: Rng) -> tuple[float, float, float]:
    """Return width, height and depth of a base: plates, bars, rods and blocks as DeepCAD has them."""
    kind = _choose(rng, {"plate": 0.42, "block": 0.26, "bar": 0.14, "long": 0.18})
    if kind == "plate":
        w, h, d = 1.0, _log_uniform(rng, 0.25, 1.0), _log_uniform(rng, 0.01, 0.2)
    elif kind == "block":
        w, h, d = 1.0, _log_uniform(rng, 0.35, 1.0), _log_uniform(rng, 0.2, 1.2)
    elif kind == "bar":
        w, h, d = 1.0, _log_uniform(rng, 0.03, 0.3), _log_uniform(rng, 0.02, 0.3)
    else:
        w = 1.0
        h, d = _log_uniform(rng, 0.4, 1.0), _log_uniform(rng, 1.2, 12.0)
    if rng.random() < 0.5:
        w, h = h, w
    if rng.random() < 0.15:
        h = w
    return 100 * w, 100 * h, 100 * d


def _base(rng: Rng, part: _Part) -> None:
    w, h, d = _proportions(rng)
    loop, kind, box = outline(rng, w, h)
    loops = [loop, *holes_for(rng, kind, box)]
    part.on_top(loops, 0.0, d, Operation.NEW)
    part.boxes.append((box, 0.0, d))


def _shaft(rng: Rng, part: _Part) -> None:
    """Coaxial cylinders (rarely polygons) one after the other, with a bore through all of them or none."""
    n = int(rng.choice([2, 3, 4, 5], p=[0.5, 0.3, 0.13, 0.07]))
    bore = rng.random() < 0.35
    radii = [_log_uniform(rng, 10, 50) for _ in range(n)]
    inner = min(radii) * float(rng.uniform(0.3, 0.85))
    at = 0.0
    for i, r in enumerate(radii):
        length = _log_uniform(rng, 3, 90)
        loop = circle((0.0, 0.0), r)
        if rng.random() < 0.08:
            loop, _, _ = outline(rng, 2 * r, 2 * r, kinds={"polygon": 0.6, "rect": 0.4})
        part.on_top([loop, circle((0.0, 0.0), inner)] if bore else [loop], at, at + length, Operation.JOIN)
        part.boxes.append(((-r, -r, r, r), at, at + length))
        at += length
        if i and rng.random() < 0.15:
            at -= length / 2


def _blocks(rng: Rng, part: _Part) -> None:
    """Rectangles side by side in one plane, each with its own height, sharing edges."""
    w, h, d = _proportions(rng)
    box: Box = (-w / 2, -h / 2, w / 2, h / 2)
    part.on_top([rect(box)], 0.0, d, Operation.NEW)
    part.boxes.append((box, 0.0, d))
    for _ in range(int(rng.integers(1, 4))):
        _neighbour(rng, part)


def _neighbour(rng: Rng, part: _Part) -> None:
    """Add a prism beside a box that is there, one edge shared."""
    (x0, y0, x1, y1), low, high = part.boxes[int(rng.integers(len(part.boxes)))]
    w, h, d = x1 - x0, y1 - y0, high - low
    nw, nh = w * _log_uniform(rng, 0.1, 1.0), h * _log_uniform(rng, 0.1, 1.0)
    side = int(rng.integers(4))
    if rng.random() < 0.45:
        nw, nh = (nw, h) if side < 2 else (w, nh)
    slide = float(rng.choice([0.0, 0.5, 1.0]))
    if side == 0:
        box = (x1, y0 + (h - nh) * slide, x1 + nw, y0 + (h - nh) * slide + nh)
    elif side == 1:
        box = (x0 - nw, y0 + (h - nh) * slide, x0, y0 + (h - nh) * slide + nh)
    elif side == 2:
        box = (x0 + (w - nw) * slide, y1, x0 + (w - nw) * slide + nw, y1 + nh)
    else:
        box = (x0 + (w - nw) * slide, y0 - nh, x0 + (w - nw) * slide + nw, y0)
    tall = d * (1.0 if rng.random() < 0.35 else _log_uniform(rng, 0.2, 3.0))
    start = low if rng.random() < 0.75 else high - tall
    part.on_top([rect(box)], start, start + tall, Operation.JOIN)
    part.boxes.append((box, start, start + tall))


def _feature(rng: Rng, part: _Part) -> None:
    kind = _choose(
        rng,
        {
            "boss": 0.27,
            "pocket": 0.16,
            "wall": 0.12,
            "legs": 0.08,
            "notch": 0.09,
            "cross": 0.08,
            "neighbour": 0.1,
            "rib": 0.04,
            "pins": 0.06,
        },
    )
    _FEATURES[kind](rng, part)


def _support(rng: Rng, part: _Part) -> tuple[Box, float, float]:
    """Return the box to work on: mostly the base, else the last."""
    return part.boxes[0] if rng.random() < 0.6 else part.boxes[-1]


def _inside(rng: Rng, box: Box, share_low: float = 0.15, share_high: float = 1.0) -> Box:
    """Return a box inside another: centred, on its axis, at an edge or anywhere."""
    x0, y0, x1, y1 = box
    w, h = (x1 - x0) * float(rng.uniform(share_low, share_high)), (y1 - y0) * float(rng.uniform(share_low, share_high))
    if rng.random() < 0.4:
        w = h = min(w, h)
    place = _choose(rng, {"centre": 0.5, "axis": 0.2, "edge": 0.2, "free": 0.1})
    sx, sy = 0.5, 0.5
    if place == "axis":
        sx, sy = (float(rng.uniform(0.05, 0.95)), 0.5) if rng.random() < 0.5 else (0.5, float(rng.uniform(0.05, 0.95)))
    elif place == "edge":
        sx, sy = float(rng.choice([0.0, 0.5, 1.0])), float(rng.choice([0.0, 0.5, 1.0]))
    elif place == "free":
        sx, sy = float(rng.random()), float(rng.random())
    ax, ay = x0 + sx * (x1 - x0 - w), y0 + sy * (y1 - y0 - h)
    return ax, ay, ax + w, ay + h


def _boss(rng: Rng, part: _Part) -> None:
    support, low, high = _support(rng, part)
    box = _inside(rng, support)
    center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    kinds = {"circle": 0.45, "rect": 0.4, "other": 0.15}
    loop, kind, at = outline(rng, box[2] - box[0], box[3] - box[1], kinds=kinds)
    loop = _moved(loop, center)
    at = at[0] + center[0], at[1] + center[1], at[2] + center[0], at[3] + center[1]
    loops = [loop]
    if rng.random() < 0.3:
        loops += [_moved(h, center) for h in holes_for(rng, kind, _about_zero(at), bare=0.0)]
    tall = (high - low) * _log_uniform(rng, 0.2, 4.0)
    tall = min(tall, 2.5 * max(support[2] - support[0], support[3] - support[1]))
    down = rng.random() < 0.2
    if down:
        part.on_top(loops, low, low - tall, Operation.JOIN)
        part.boxes.append((at, low - tall, low))
    else:
        part.on_top(loops, high, high + tall, Operation.JOIN)
        part.boxes.append((at, high, high + tall))


def _about_zero(box: Box) -> Box:
    w, h = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    return -w, -h, w, h


def _moved(loop: Loop, by: Point) -> Loop:
    return map_loop(loop, lambda p: (p[0] + by[0], p[1] + by[1]))


def _pocket(rng: Rng, part: _Part) -> None:
    support, low, high = _support(rng, part)
    box = _inside(rng, support, 0.1, 0.92)
    center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if rng.random() < 0.25:
        wall = min(support[2] - support[0], support[3] - support[1]) * _log_uniform(rng, 0.03, 0.2)
        box, center = inset(support, wall), ((support[0] + support[2]) / 2, (support[1] + support[3]) / 2)
    loop, _, _ = outline(rng, box[2] - box[0], box[3] - box[1], kinds={"circle": 0.45, "rect": 0.42, "other": 0.13})
    deep = (high - low) * (1.0 if rng.random() < 0.3 else float(rng.uniform(0.15, 0.95)))
    if rng.random() < 0.85:
        part.on_top([_moved(loop, center)], high, high - deep, Operation.CUT)
    else:
        part.on_top([_moved(loop, center)], low, low + deep, Operation.CUT)


def _wall(rng: Rng, part: _Part) -> None:
    """A wall or two along edges of the base, or a rim all round it."""
    (x0, y0, x1, y1), low, high = part.boxes[0]
    w, h, d = x1 - x0, y1 - y0, high - low
    thick = min(w, h) * _log_uniform(rng, 0.03, 0.25) if rng.random() < 0.6 else min(d, 0.4 * min(w, h))
    tall = max(w, h) * _log_uniform(rng, 0.08, 0.9)
    start = low if rng.random() < 0.4 else high
    kind = _choose(rng, {"one": 0.5, "two": 0.3, "rim": 0.2})
    across = rng.random() < 0.5
    if kind == "rim":
        loops = [rect((x0, y0, x1, y1)), rect(inset((x0, y0, x1, y1), thick))]
    else:
        first: Box = (x0, y0, x0 + thick, y1) if across else (x0, y0, x1, y0 + thick)
        second: Box = (x1 - thick, y0, x1, y1) if across else (x0, y1 - thick, x1, y1)
        pair = [first, second]
        loops = [rect(b) for b in (pair if kind == "two" else [pair[int(rng.integers(2))]])]
    end = start + tall if start == high or rng.random() < 0.8 else start + d + tall
    if rng.random() < 0.2 and start == high:
        start, end = low, low - tall
    part.on_top(loops, start, end, Operation.JOIN)
    part.boxes.append(((x0, y0, x1, y1), min(start, end), max(start, end)))


def _legs(rng: Rng, part: _Part) -> None:
    """Two or four equal columns at the corners, up or down."""
    (x0, y0, x1, y1), low, high = part.boxes[0]
    w, h = x1 - x0, y1 - y0
    side = min(w, h) * _log_uniform(rng, 0.05, 0.3)
    edge = 0.0 if rng.random() < 0.6 else side * float(rng.uniform(0.2, 1.0))
    rx, ry = w / 2 - side / 2 - edge, h / 2 - side / 2 - edge
    if min(rx, ry) <= 0:
        return
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    spots = [(cx + sx * rx, cy + sy * ry) for sx in (-1, 1) for sy in (-1, 1)]
    if rng.random() < 0.3:
        spots = [(cx - rx, cy), (cx + rx, cy)] if rng.random() < 0.5 else [(cx, cy - ry), (cx, cy + ry)]
    square = rng.random() < 0.6
    loops = [
        rect((x - side / 2, y - side / 2, x + side / 2, y + side / 2)) if square else circle((x, y), side / 2)
        for x, y in spots
    ]
    tall = max(w, h) * _log_uniform(rng, 0.05, 0.9)
    if rng.random() < 0.5:
        part.on_top(loops, low, low - tall, Operation.JOIN)
    else:
        part.on_top(loops, high, high + tall, Operation.JOIN)


def _notch(rng: Rng, part: _Part) -> None:
    """Cut a rectangle or a round out of an edge, through or part of the way."""
    (x0, y0, x1, y1), low, high = _support(rng, part)
    w, h = x1 - x0, y1 - y0
    side = int(rng.integers(4))
    deep, wide = float(rng.uniform(0.08, 0.6)), float(rng.uniform(0.1, 0.7))
    slide = 0.5 if rng.random() < 0.65 else float(rng.choice([0.0, 1.0]))
    if side < 2:
        ya = y0 + (h - wide * h) * slide
        box: Box = (x1 - deep * w, ya, x1, ya + wide * h) if side == 0 else (x0, ya, x0 + deep * w, ya + wide * h)
    else:
        xa = x0 + (w - wide * w) * slide
        box = (xa, y1 - deep * h, xa + wide * w, y1) if side == 2 else (xa, y0, xa + wide * w, y0 + deep * h)
    loops = [rect(box)]
    if rng.random() < 0.25:
        middle = {0: (x1, (box[1] + box[3]) / 2), 1: (x0, (box[1] + box[3]) / 2)}
        middle |= {2: ((box[0] + box[2]) / 2, y1), 3: ((box[0] + box[2]) / 2, y0)}
        loops = [circle(middle[side], min(box[2] - box[0], box[3] - box[1]) / 2)]
    length = (high - low) * (1.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 0.9)))
    part.on_top(loops, high, high - length, Operation.CUT)


def _cross(rng: Rng, part: _Part) -> None:
    """Holes or a channel across the base, from its side."""
    (x0, y0, x1, y1), low, high = _support(rng, part)
    axis = int(rng.integers(2))
    a0, a1 = (y0, y1) if axis == 0 else (x0, x1)
    b0, b1 = (x0, x1) if axis == 0 else (y0, y1)
    span, tall = a1 - a0, high - low
    middle = ((a0 + a1) / 2, (low + high) / 2)
    r = min(span, tall) * float(rng.uniform(0.12, 0.42))
    kind = _choose(rng, {"hole": 0.5, "holes": 0.2, "channel": 0.3})
    if kind == "hole":
        at = middle if rng.random() < 0.7 else (a0 + span * float(rng.uniform(0.2, 0.8)), middle[1])
        loops = [circle(at, r)]
    elif kind == "holes":
        n = int(rng.integers(2, 5))
        loops = [circle((a0 + span * (i + 0.5) / n, middle[1]), min(r, 0.35 * span / n)) for i in range(n)]
    else:
        wide = span * float(rng.uniform(0.15, 0.7))
        deep = tall * float(rng.uniform(0.15, 0.8))
        loops = [rect((middle[0] - wide / 2, high - deep, middle[0] + wide / 2, high))]
    end = b1 if rng.random() < 0.75 else b0 + (b1 - b0) * float(rng.uniform(0.2, 0.8))
    part.on_side(loops, axis, b0, end, Operation.CUT)


def _rib(rng: Rng, part: _Part) -> None:
    """A triangle or trapezium standing on the base, along its middle."""
    (x0, y0, x1, y1), _, high = part.boxes[0]
    axis = int(rng.integers(2))
    a0, a1 = (y0, y1) if axis == 0 else (x0, x1)
    b0, b1 = (x0, x1) if axis == 0 else (y0, y1)
    long, tall = (a1 - a0) * float(rng.uniform(0.3, 1.0)), (a1 - a0) * float(rng.uniform(0.2, 0.9))
    start = a0 if rng.random() < 0.5 else a1 - long
    peak = float(rng.choice([0.0, 0.5, 1.0]))
    points = [(start, high), (start + long, high), (start + long * peak, high + tall)]
    if rng.random() < 0.3:
        points[2:] = [(start + long * 0.75, high + tall), (start + long * 0.25, high + tall)]
    thick = (b1 - b0) * _log_uniform(rng, 0.05, 1.0)
    middle = (b0 + b1) / 2 if rng.random() < 0.7 else b0 + thick / 2
    part.on_side([closed(points)], axis, middle - thick / 2, middle + thick / 2, Operation.JOIN)


def _pins(rng: Rng, part: _Part) -> None:
    """Equal bosses or blind holes in a pattern on top."""
    support, low, high = _support(rng, part)
    points, room = pattern(rng, support)
    if not points:
        return
    r = room * float(rng.uniform(0.2, 0.8))
    loops = [circle(p, r) for p in points]
    if rng.random() < 0.5:
        part.on_top(loops, high, high + (high - low) * _log_uniform(rng, 0.2, 3.0), Operation.JOIN)
    else:
        part.on_top(loops, high, high - (high - low) * float(rng.uniform(0.2, 0.9)), Operation.CUT)


_FEATURES = {
    "boss": _boss,
    "cross": _cross,
    "legs": _legs,
    "neighbour": _neighbour,
    "notch": _notch,
    "pins": _pins,
    "pocket": _pocket,
    "rib": _rib,
    "wall": _wall,
}
