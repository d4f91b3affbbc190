"""What is cut from a synthetic part: holes, pockets, notches, channels, windows, and holes across."""

from __future__ import annotations

from collections.abc import Callable

from cadcoder.program import Loop, Operation
from cadcoder.program.shapes import closed
from dataset_build.growing import Box, Growing, Rng, choose, inside, log_uniform, middle, mirrored, moved
from dataset_build.holes import pattern
from dataset_build.outlines import circle, inset, outline, rect

_WEIGHTS = {"holes": 0.22, "pocket": 0.24, "notch": 0.18, "channel": 0.12, "windows": 0.07, "cross": 0.17}


def cut(rng: Rng, part: Growing) -> None:
    """Cut one feature out of a part."""
    _FEATURES[choose(rng, _WEIGHTS)](rng, part)


def _from_top(rng: Rng, part: Growing, loops: list[Loop], low: float, high: float, through: float) -> None:
    """Cut loops right through (drawn on the lower face, as the base is) or part of the way from either face."""
    if rng.random() < through:
        part.on_top(loops, low, high, Operation.CUT)
        return
    deep = (high - low) * float(rng.uniform(0.15, 0.9))
    if rng.random() < 0.85:
        part.on_top(loops, high, high - deep, Operation.CUT)
    else:
        part.on_top(loops, low, low + deep, Operation.CUT)


def _holes(rng: Rng, part: Growing) -> None:
    """One hole, a pair or a pattern of them."""
    support, low, high = part.support(rng)
    x0, y0, x1, y1 = support
    small = min(x1 - x0, y1 - y0)
    kind = choose(rng, {"one": 0.46, "pair": 0.36, "pattern": 0.18})
    if kind == "pattern":
        points, room = pattern(rng, support)
        loops = [circle(p, room * float(rng.uniform(0.3, 0.8))) for p in points[:1]]
        loops += [moved(loops[0], (p[0] - points[0][0], p[1] - points[0][1])) for p in points[1:]]
    else:
        r = small * log_uniform(rng, 0.04, 0.42)
        cx, cy = middle(support)
        slide = 0.0 if kind == "one" and rng.random() < 0.55 else float(rng.uniform(0.15, 0.95))
        if x1 - x0 >= y1 - y0:
            at = cx + slide * ((x1 - x0) / 2 - 1.2 * r), cy
        else:
            at = cx, cy + slide * ((y1 - y0) / 2 - 1.2 * r)
        loops = mirrored(rng, circle(at, r), support, 1.0 if kind == "pair" else 0.0)
    _from_top(rng, part, loops, low, high, 0.7)


def _pocket(rng: Rng, part: Growing) -> None:
    """The inside hollowed out, or a recess of any outline."""
    support, low, high = part.support(rng)
    if rng.random() < 0.4:
        thick = min(support[2] - support[0], support[3] - support[1]) * log_uniform(rng, 0.03, 0.2)
        box = inset(support, thick)
        kinds = {"rect": 0.6, "rounded": 0.27, "circle": 0.08, "other": 0.05}
    else:
        box = inside(rng, support, 0.1, 0.92)
        kinds = {"rect": 0.42, "circle": 0.12, "other": 0.46}
    loop, _, _ = outline(rng, box[2] - box[0], box[3] - box[1], choose(rng, kinds), small=True)
    _from_top(rng, part, mirrored(rng, moved(loop, middle(box)), support, 0.4), low, high, 0.5)


def _notch(rng: Rng, part: Growing) -> None:
    """Cut a rectangle, a round or a slope out of an edge or two, through or part of the way."""
    support, low, high = part.support(rng)
    x0, y0, x1, y1 = support
    w, h = x1 - x0, y1 - y0
    side = int(rng.integers(4))
    deep, wide = log_uniform(rng, 0.05, 0.6), float(rng.uniform(0.1, 0.8))
    slide = 0.5 if rng.random() < 0.5 else float(rng.choice([0.0, 1.0]))
    if rng.random() < 0.15:
        wide = 1.0
    if side < 2:
        ya = y0 + (h - wide * h) * slide
        box: Box = (x1 - deep * w, ya, x1, ya + wide * h) if side == 0 else (x0, ya, x0 + deep * w, ya + wide * h)
    else:
        xa = x0 + (w - wide * w) * slide
        box = (xa, y1 - deep * h, xa + wide * w, y1) if side == 2 else (xa, y0, xa + wide * w, y0 + deep * h)
    kind = choose(rng, {"rect": 0.72, "round": 0.12, "slope": 0.16})
    loop = rect(box)
    if kind == "round":
        spots = {0: (x1, (box[1] + box[3]) / 2), 1: (x0, (box[1] + box[3]) / 2)}
        spots |= {2: ((box[0] + box[2]) / 2, y1), 3: ((box[0] + box[2]) / 2, y0)}
        loop = circle(spots[side], min(box[2] - box[0], box[3] - box[1]) / 2)
    elif kind == "slope":
        cx = x1 if rng.random() < 0.5 else x0
        cy = y1 if rng.random() < 0.5 else y0
        away = 1 if cx == x0 else -1, 1 if cy == y0 else -1
        loop = closed([(cx, cy), (cx + away[0] * deep * w, cy), (cx, cy + away[1] * min(wide, 0.9) * h)])
    _from_top(rng, part, mirrored(rng, loop, support, 0.4), low, high, 0.65)


def _channel(rng: Rng, part: Growing) -> None:
    """One or two grooves along the whole of the top."""
    support, low, high = part.support(rng)
    x0, y0, x1, y1 = support
    wide = float(rng.uniform(0.08, 0.6))
    slide = 0.5 if rng.random() < 0.6 else float(rng.uniform(0.08, 0.92))
    if (x1 - x0 >= y1 - y0) == (rng.random() < 0.75):
        ya = y0 + slide * (1 - wide) * (y1 - y0)
        loop = rect((x0, ya, x1, ya + wide * (y1 - y0)))
    else:
        xa = x0 + slide * (1 - wide) * (x1 - x0)
        loop = rect((xa, y0, xa + wide * (x1 - x0), y1))
    deep = (high - low) * float(rng.uniform(0.15, 0.9))
    part.on_top(mirrored(rng, loop, support, 0.5), high, high - deep, Operation.CUT)


def _windows(rng: Rng, part: Growing) -> None:
    """Equal rectangles in a row, through or not."""
    support, low, high = part.support(rng)
    x0, y0, x1, y1 = support
    n = int(rng.choice([2, 2, 3, 4, 5]))
    edge = min(x1 - x0, y1 - y0) * log_uniform(rng, 0.04, 0.3)
    along_x = x1 - x0 >= y1 - y0
    long = (x1 - x0) if along_x else (y1 - y0)
    pane = (long - (n + 1) * edge) / n
    if pane <= 0.05 * long:
        edge = 0.2 * long / (n + 1)
        pane = 0.8 * long / n
    boxes: list[Box] = []
    for i in range(n):
        at = edge + i * (pane + edge)
        boxes.append(
            (x0 + at, y0 + edge, x0 + at + pane, y1 - edge)
            if along_x
            else (x0 + edge, y0 + at, x1 - edge, y0 + at + pane)
        )
    _from_top(rng, part, [rect(b) for b in boxes if b[2] > b[0] and b[3] > b[1]], low, high, 0.6)


def _cross(rng: Rng, part: Growing) -> None:
    """Holes, a channel or an opening across the base, from its side."""
    (x0, y0, x1, y1), low, high = part.support(rng)
    axis = int(rng.integers(2))
    a0, a1 = (y0, y1) if axis == 0 else (x0, x1)
    b0, b1 = (x0, x1) if axis == 0 else (y0, y1)
    span, tall = a1 - a0, high - low
    center = ((a0 + a1) / 2, (low + high) / 2)
    r = min(span, tall) * float(rng.uniform(0.12, 0.42))
    kind = choose(rng, {"hole": 0.32, "holes": 0.23, "channel": 0.25, "opening": 0.2})
    if kind == "hole":
        at = center if rng.random() < 0.7 else (a0 + span * float(rng.uniform(0.2, 0.8)), center[1])
        loops = [circle(at, r)]
    elif kind == "holes":
        n = int(rng.choice([2, 2, 2, 3, 4]))
        loops = [circle((a0 + span * (i + 0.5) / n, center[1]), min(r, 0.35 * span / n)) for i in range(n)]
    elif kind == "channel":
        wide = span * float(rng.uniform(0.15, 0.7))
        deep = tall * float(rng.uniform(0.15, 0.8))
        loops = [rect((center[0] - wide / 2, high - deep, center[0] + wide / 2, high))]
    else:
        face: Box = (a0, low, a1, high)
        box = inside(rng, face, 0.2, 0.85)
        loop, _, _ = outline(
            rng, box[2] - box[0], box[3] - box[1], "rect" if rng.random() < 0.6 else "other", small=True
        )
        loops = mirrored(rng, moved(loop, middle(box)), face, 0.3)
    end = b1
    if rng.random() >= 0.7:
        if part.seen(axis) == (rng.random() < 0.85):
            b0, b1 = b1, b0
        end = b0 + (b1 - b0) * float(rng.uniform(0.2, 0.8))
    part.on_side(loops, axis, b0, end, Operation.CUT)


_FEATURES: dict[str, Callable[[Rng, Growing], None]] = {
    "channel": _channel,
    "cross": _cross,
    "holes": _holes,
    "notch": _notch,
    "pocket": _pocket,
    "windows": _windows,
}
