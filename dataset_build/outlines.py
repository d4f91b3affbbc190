"""Outlines that the synthesiser draws from, in sketch coordinates."""

from __future__ import annotations

import math

from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import Arc, Circle, Line, Loop, Point
from dataset_build.drawn import arcs, rectilinear, straight
from dataset_build.freeforms import chamfered, edited, hull, ragged, strip
from dataset_build.growing import Box, Rng, choose

#: How often each kind of outline is drawn for a base.
KINDS: dict[str, float] = {
    "rect": 0.38,
    "circle": 0.18,
    "rounded": 0.05,
    "slot": 0.035,
    "polygon": 0.014,
    "rectilinear": 0.09,
    "edited": 0.075,
    "straight": 0.03,
    "arcs": 0.046,
    "hull": 0.02,
    "strip": 0.04,
    "chamfered": 0.035,
    "free": 0.025,
}
_OTHER = tuple(k for k in KINDS if k not in ("rect", "circle"))
#: Of a boss or a cut: what is short to write comes first.
_SMALL = {
    "rounded": 0.3,
    "slot": 0.13,
    "straight": 0.22,
    "arcs": 0.19,
    "rectilinear": 0.12,
    "polygon": 0.04,
    "hull": 0.08,
}


def rect(box: Box) -> Loop:
    """Return the rectangle of a box."""
    x0, y0, x1, y1 = box
    return Shape("rect", (x1 - x0, y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2)).loop()


def circle(center: Point, radius: float) -> Loop:
    """Return a circle."""
    return Loop((Circle(center, radius),))


def inset(box: Box, by: float) -> Box:
    """Return the box made smaller on all sides, by at most nearly half of its smaller side."""
    by = min(by, 0.45 * min(box[2] - box[0], box[3] - box[1]))
    return box[0] + by, box[1] + by, box[2] - by, box[3] - by


def outline(rng: Rng, w: float, h: float, kind: str | None = None, small: bool = False) -> tuple[Loop, str, Box]:
    """Return (loop, kind, box) of an outline about the origin, at most ``w`` wide and ``h`` high.

    Args:
        rng: source of chance.
        w: width of the outline.
        h: height of the outline.
        kind: a key of :data:`KINDS`, ``other`` for all but circle and rectangle; None draws one.
        small: whether ``other`` is drawn from what suits a boss or a cut.
    """
    kind = kind or choose(rng, KINDS)
    if kind == "other":
        kind = choose(rng, _SMALL if small else {k: KINDS[k] for k in _OTHER})
    box: Box = (-w / 2, -h / 2, w / 2, h / 2)
    if kind == "circle":
        d = min(w, h)
        return circle((0.0, 0.0), d / 2), kind, (-d / 2, -d / 2, d / 2, d / 2)
    if kind == "rect":
        return rect(box), kind, box
    if kind == "polygon":
        n = int(rng.choice([6, 6, 6, 8, 5, 3]))
        d = min(w, h)
        loop = Shape("polygon", (float(n), d), (0.0, 0.0)).loop()
        if rng.random() < 0.4:
            turn = math.pi / 2
            loop = closed([_turned(c.start, turn) for c in loop.curves if isinstance(c, Line)])
        r = d / 2 * math.cos(math.pi / n)
        return loop, kind, (-r, -r, r, r)
    if kind == "slot":
        long, short = max(w, h), min(w, h)
        if long < 1.15 * short:
            short = 0.5 * long
        angle = 0.0 if w >= h else 90.0
        loop = Shape("slot", (long, short, angle), (0.0, 0.0)).loop()
        return loop, kind, loop.bounds()
    if kind == "rounded":
        r = min(w, h) * float(rng.uniform(0.06, 0.4))
        return rounded(box, r, rng.random() < 0.85, rng), kind, box
    if kind == "rectilinear":
        return rectilinear(rng, box), kind, box
    loop = _FREE[kind](rng, box)
    return loop, kind, loop.bounds()


_FREE = {
    "straight": straight,
    "arcs": arcs,
    "hull": hull,
    "strip": strip,
    "edited": edited,
    "chamfered": chamfered,
    "free": ragged,
}


def _turned(p: Point, angle: float) -> Point:
    c, s = math.cos(angle), math.sin(angle)
    return c * p[0] - s * p[1], s * p[0] + c * p[1]


def rounded(box: Box, r: float, every: bool, rng: Rng) -> Loop:
    """Return a rectangle with rounded corners: every corner, or the two of one side."""
    x0, y0, x1, y1 = box
    which = [True] * 4
    if not every:
        k = int(rng.integers(4))
        which = [i in (k, (k + 1) % 4) for i in range(4)]
    corners = [(x0, y0, 1, 1), (x1, y0, -1, 1), (x1, y1, -1, -1), (x0, y1, 1, -1)]
    c = r * (1 - math.sqrt(0.5))
    pieces: list[tuple[Point, Point, Point]] = []
    for i, (x, y, sx, sy) in enumerate(corners):
        if not which[i]:
            pieces.append(((x, y), (x, y), (x, y)))
            continue
        along_x, along_y = (x + sx * r, y), (x, y + sy * r)
        start, end = (along_y, along_x) if i % 2 == 0 else (along_x, along_y)
        pieces.append((start, (x + sx * c, y + sy * c), end))
    curves: list[Line | Arc] = []
    for i, (start, mid, end) in enumerate(pieces):
        if start != end:
            curves.append(Arc(start, mid, end))
        following = pieces[(i + 1) % 4][0]
        if math.dist(end, following) > 1e-9:
            curves.append(Line(end, following))
    return Loop(tuple(curves))
