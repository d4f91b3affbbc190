"""What a synthetic part begins with: a prism with holes, a shaft, a row of blocks, or bodies that lie apart."""

from __future__ import annotations

from cadcoder.program import Operation
from cadcoder.program.canonical import map_loop
from dataset_build.added import neighbour
from dataset_build.growing import Box, Growing, Rng, choose, log_uniform, moved
from dataset_build.holes import holes_for
from dataset_build.outlines import KINDS, circle, outline, rect

#: Proportions by what the outline is: a disc is seldom long, a profile often is.
_PROPORTIONS: dict[str, dict[str, float]] = {
    "rect": {"plate": 0.5, "block": 0.27, "bar": 0.18, "long": 0.05},
    "circle": {"plate": 0.48, "block": 0.3, "long": 0.22},
    "profile": {"plate": 0.44, "block": 0.36, "bar": 0.06, "long": 0.14},
}
#: How often each kind of base is drawn.
_BASES = {"prism": 0.825, "shaft": 0.05, "blocks": 0.08, "apart": 0.045}


def base(rng: Rng, part: Growing) -> str:
    """Begin a part; return what kind of base it has."""
    kind = choose(rng, _BASES)
    {"prism": _prism, "shaft": _shaft, "blocks": _blocks, "apart": _apart}[kind](rng, part)
    return kind


def _proportions(rng: Rng, family: str) -> tuple[float, float, float]:
    """Return width, height and depth of a base: plates, bars, rods and blocks as DeepCAD has them."""
    kind = choose(rng, _PROPORTIONS[family])
    if kind == "plate":
        w, h, d = 1.0, log_uniform(rng, 0.2, 1.0), log_uniform(rng, 0.008, 0.2)
    elif kind == "block":
        w, h, d = 1.0, log_uniform(rng, 0.35, 1.0), log_uniform(rng, 0.2, 1.0)
    elif kind == "bar":
        w, h, d = 1.0, log_uniform(rng, 0.02, 0.3), log_uniform(rng, 0.012, 0.3)
    else:
        w, h, d = 1.0, log_uniform(rng, 0.4, 1.0), log_uniform(rng, 1.2, 12.0)
    if rng.random() < 0.4:
        w, h = h, w
    if rng.random() < 0.12:
        h = w
    return 100 * w, 100 * h, 100 * d


def _prism(rng: Rng, part: Growing) -> None:
    chosen = choose(rng, KINDS)
    w, h, d = _proportions(rng, chosen if chosen in ("rect", "circle") else "profile")
    loop, kind, box = outline(rng, w, h, chosen)
    part.on_top([loop, *holes_for(rng, kind, box, loop)], 0.0, d, Operation.NEW)
    part.boxes.append((box, 0.0, d))
    if kind == "rect":
        part.blocks.append((box, 0.0, d))


def _shaft(rng: Rng, part: Growing) -> None:
    """Coaxial cylinders (rarely polygons) one after the other, with a bore through all of them or none."""
    n = int(rng.choice([2, 2, 2, 2, 2, 3, 3, 3, 4, 5]))
    bore = rng.random() < 0.35
    radii = [log_uniform(rng, 10, 50) for _ in range(n)]
    inner = min(radii) * float(rng.uniform(0.3, 0.85))
    at = 0.0
    for i, r in enumerate(radii):
        length = log_uniform(rng, 3, 90)
        loop = circle((0.0, 0.0), r)
        if rng.random() < 0.08:
            loop, _, _ = outline(rng, 2 * r, 2 * r, choose(rng, {"polygon": 0.6, "rect": 0.4}))
        part.on_top([loop, circle((0.0, 0.0), inner)] if bore else [loop], at, at + length, Operation.JOIN)
        part.boxes.append(((-r, -r, r, r), at, at + length))
        at += length
        if i and rng.random() < 0.15:
            at -= length / 2


def _blocks(rng: Rng, part: Growing) -> None:
    """Rectangles side by side in one plane, each with its own height, sharing edges."""
    w, h, d = _proportions(rng, "rect")
    box: Box = (-w / 2, -h / 2, w / 2, h / 2)
    part.on_top([rect(box)], 0.0, d, Operation.NEW)
    part.boxes.append((box, 0.0, d))
    part.blocks.append((box, 0.0, d))
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        neighbour(rng, part)


def _apart(rng: Rng, part: Growing) -> None:
    """Bodies that do not touch: equal ones in one sketch, or two of their own depths in one plane."""
    part.apart = True
    w, h, d = _proportions(rng, "rect")
    loop, kind, box = outline(rng, w, h, choose(rng, {"rect": 0.55, "circle": 0.2, "slot": 0.1, "rectilinear": 0.15}))
    w, h = box[2] - box[0], box[3] - box[1]
    holes = holes_for(rng, kind, box, loop)
    along_x = rng.random() < 0.5
    if rng.random() < 0.45:
        n = int(rng.choice([2, 2, 3, 4, 4, 6]))
        columns, rows = (2, n // 2) if n > 3 else (n, 1) if along_x else (1, n)
        step_x, step_y = w * log_uniform(rng, 1.1, 3.0), h * log_uniform(rng, 1.1, 3.0)
        places = [(i * step_x, j * step_y) for i in range(columns) for j in range(rows)]
        part.on_top([moved(one, p) for p in places for one in (loop, *holes)], 0.0, d, Operation.NEW)
    else:
        part.on_top([loop, *holes], 0.0, d, Operation.NEW)
        other, holes_too = loop, holes
        if rng.random() < 0.6:
            size = log_uniform(rng, 0.25, 1.0)
            other, kind, at = outline(rng, w * size, h * log_uniform(rng, 0.4, 1.0))
            holes_too = holes_for(rng, kind, at, other)
        elif rng.random() < 0.3:
            other = map_loop(loop, lambda p: (-p[0], p[1]))
            holes_too = [map_loop(q, lambda p: (-p[0], p[1])) for q in holes]
        x0, y0, x1, y1 = other.bounds()
        gap = max(w, h) * log_uniform(rng, 0.03, 0.5)
        slide = float(rng.choice([0.0, 0.5, 1.0]))
        if along_x:
            by = w / 2 + gap - x0, -h / 2 - y0 + slide * (h - (y1 - y0))
        else:
            by = -w / 2 - x0 + slide * (w - (x1 - x0)), h / 2 + gap - y0
        tall = d * (1.0 if rng.random() < 0.3 else log_uniform(rng, 0.3, 3.0))
        part.on_top([moved(one, by) for one in (other, *holes_too)], 0.0, tall, Operation.JOIN)
    part.boxes.append((box, 0.0, d))
