"""What a synthetic part gains after its base: bosses, walls, legs, neighbours, ribs, pins, and arms from a side."""

from __future__ import annotations

from collections.abc import Callable

from cadcoder.program import Loop, Operation
from cadcoder.program.shapes import closed
from dataset_build.growing import Box, Growing, Rng, about_zero, choose, inside, log_uniform, middle, mirrored, moved
from dataset_build.holes import holes_for, pattern
from dataset_build.outlines import circle, inset, outline, rect

_WEIGHTS = {
    "neighbour": 0.29,
    "boss": 0.2,
    "wall": 0.16,
    "legs": 0.08,
    "arm": 0.15,
    "rib": 0.07,
    "pins": 0.05,
}
#: Outlines of what is added.
_KINDS = {"circle": 0.36, "rect": 0.3, "other": 0.34}


def add(rng: Rng, part: Growing) -> None:
    """Add one feature to a part."""
    _FEATURES[choose(rng, _WEIGHTS)](rng, part)


def neighbour(rng: Rng, part: Growing) -> None:
    """Add a prism beside a box that is there, one edge shared."""
    if not part.blocks:
        return _boss(rng, part)
    (x0, y0, x1, y1), low, high = part.blocks[int(rng.integers(len(part.blocks)))]
    w, h, d = x1 - x0, y1 - y0, high - low
    nw, nh = w * log_uniform(rng, 0.1, 1.0), h * log_uniform(rng, 0.1, 1.0)
    side = int(rng.integers(4))
    if rng.random() < 0.5:
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
    tall = d * (1.0 if rng.random() < 0.25 else log_uniform(rng, 0.2, 3.0))
    start = low if rng.random() < 0.85 else high - tall
    straight = rng.random() < 0.78
    loop = rect(box) if straight else _tapered(rng, box, side)
    loops = mirrored(rng, loop, (x0, y0, x1, y1), 0.2)
    part.on_top(loops, start, start + tall, Operation.JOIN)
    part.boxes.append((box, start, start + tall))
    if straight:
        part.blocks.append(part.boxes[-1])
    return None


def _tapered(rng: Rng, box: Box, side: int) -> Loop:
    """Return a trapezium or triangle that fills a box; its long edge is the one shared with the part."""
    x0, y0, x1, y1 = box
    a, b = sorted((float(rng.choice([0.0, 0.25, 0.5])), float(rng.choice([0.5, 0.75, 1.0]))))
    if side < 2:
        near, far = (x0, x1) if side == 0 else (x1, x0)
        points = [(near, y0), (far, y0 + a * (y1 - y0)), (far, y0 + b * (y1 - y0)), (near, y1)]
    else:
        near, far = (y0, y1) if side == 2 else (y1, y0)
        points = [(x0, near), (x0 + a * (x1 - x0), far), (x0 + b * (x1 - x0), far), (x1, near)]
    return closed([p for i, p in enumerate(points) if p != points[i - 1]])


def _boss(rng: Rng, part: Growing) -> None:
    support, low, high = part.support(rng)
    box = inside(rng, support)
    center = middle(box)
    loop, kind, at = outline(rng, box[2] - box[0], box[3] - box[1], choose(rng, _KINDS))
    loops = [moved(loop, center)]
    if rng.random() < 0.22:
        loops += [moved(h, center) for h in holes_for(rng, kind, about_zero(at), loop, bare=0.0)]
    else:
        loops = mirrored(rng, loops[0], support, 0.25)
    at = at[0] + center[0], at[1] + center[1], at[2] + center[0], at[3] + center[1]
    tall = (high - low) * log_uniform(rng, 0.15, 3.0)
    tall = min(tall, 1.5 * max(support[2] - support[0], support[3] - support[1]))
    if rng.random() < 0.2:
        part.on_top(loops, low, low - tall, Operation.JOIN)
        part.boxes.append((at, low - tall, low))
    else:
        part.on_top(loops, high, high + tall, Operation.JOIN)
        part.boxes.append((at, high, high + tall))


def _wall(rng: Rng, part: Growing) -> None:
    """A wall or two along edges of the base, or a rim all round it."""
    (x0, y0, x1, y1), low, high = part.boxes[0]
    w, h, d = x1 - x0, y1 - y0, high - low
    thick = min(w, h) * log_uniform(rng, 0.03, 0.25) if rng.random() < 0.6 else min(d, 0.4 * min(w, h))
    tall = max(w, h) * log_uniform(rng, 0.05, 0.7)
    start = low if rng.random() < 0.4 else high
    kind = choose(rng, {"one": 0.45, "two": 0.37, "rim": 0.18})
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


def _legs(rng: Rng, part: Growing) -> None:
    """Two or four equal columns at the corners, up or down."""
    (x0, y0, x1, y1), low, high = part.boxes[0]
    w, h = x1 - x0, y1 - y0
    side = min(w, h) * log_uniform(rng, 0.05, 0.3)
    edge = 0.0 if rng.random() < 0.6 else side * float(rng.uniform(0.2, 1.0))
    rx, ry = w / 2 - side / 2 - edge, h / 2 - side / 2 - edge
    if min(rx, ry) <= 0:
        return
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    spots = [(cx + sx * rx, cy + sy * ry) for sx in (-1, 1) for sy in (-1, 1)]
    if rng.random() < 0.3:
        spots = [(cx - rx, cy), (cx + rx, cy)] if rng.random() < 0.5 else [(cx, cy - ry), (cx, cy + ry)]
    square = rng.random() < 0.65
    loops = [
        rect((x - side / 2, y - side / 2, x + side / 2, y + side / 2)) if square else circle((x, y), side / 2)
        for x, y in spots
    ]
    tall = max(w, h) * log_uniform(rng, 0.05, 0.9)
    if rng.random() < 0.5:
        part.on_top(loops, low, low - tall, Operation.JOIN)
    else:
        part.on_top(loops, high, high + tall, Operation.JOIN)


def _arm(rng: Rng, part: Growing) -> None:
    """A prism out of a side of the base: a round or other bar, or a lug with a hole.

    Never a rectangle: that is a neighbour, and one picture should have one script.
    """
    (x0, y0, x1, y1), low, high = part.support(rng)
    axis = int(rng.integers(2))
    out = part.seen(axis) == (rng.random() < 0.75)
    a0, a1 = (y0, y1) if axis == 0 else (x0, x1)
    b0, b1 = (x0, x1) if axis == 0 else (y0, y1)
    face: Box = (a0, low, a1, high)
    box = inside(rng, face, 0.25, 1.0)
    loop, kind, at = outline(
        rng, box[2] - box[0], box[3] - box[1], "circle" if rng.random() < 0.55 else "other", small=True
    )
    loops = [moved(loop, middle(box))]
    if rng.random() < 0.25:
        loops += [moved(q, middle(box)) for q in holes_for(rng, kind, about_zero(at), loop, bare=0.2)]
    else:
        loops = mirrored(rng, loops[0], face, 0.2)
    length = max(b1 - b0, a1 - a0) * log_uniform(rng, 0.05, 1.0)
    start, end = (b1, b1 + length) if out else (b0, b0 - length)
    part.on_side(loops, axis, start, end, Operation.JOIN)


def _rib(rng: Rng, part: Growing) -> None:
    """A triangle or trapezium standing on the base, along its middle."""
    (x0, y0, x1, y1), _, high = part.boxes[0]
    axis = int(rng.integers(2))
    a0, a1 = (y0, y1) if axis == 0 else (x0, x1)
    b0, b1 = (x0, x1) if axis == 0 else (y0, y1)
    long, tall = (a1 - a0) * float(rng.uniform(0.3, 1.0)), (a1 - a0) * float(rng.uniform(0.2, 0.9))
    start = a0 if rng.random() < 0.5 else a1 - long
    peak = float(rng.choice([0.0, 0.5, 1.0]))
    points = [(start, high), (start + long, high), (start + long * peak, high + tall)]
    if rng.random() < 0.4:
        points[2:] = [(start + long * 0.75, high + tall), (start + long * 0.25, high + tall)]
    thick = (b1 - b0) * log_uniform(rng, 0.05, 1.0)
    center = (b0 + b1) / 2 if rng.random() < 0.6 else b0 + thick / 2
    part.on_side([closed(points)], axis, center - thick / 2, center + thick / 2, Operation.JOIN)


def _pins(rng: Rng, part: Growing) -> None:
    """Equal bosses in a pattern on top."""
    support, low, high = part.support(rng)
    points, room = pattern(rng, support)
    r = room * float(rng.uniform(0.2, 0.8))
    tall = min((high - low) * log_uniform(rng, 0.2, 3.0), support[2] - support[0] + support[3] - support[1])
    part.on_top([circle(p, r) for p in points], high, high + tall, Operation.JOIN)


_FEATURES: dict[str, Callable[[Rng, Growing], None]] = {
    "arm": _arm,
    "boss": _boss,
    "legs": _legs,
    "neighbour": neighbour,
    "pins": _pins,
    "rib": _rib,
    "wall": _wall,
}
