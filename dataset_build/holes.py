"""Holes for the outlines that the synthesiser draws, and the patterns that equal holes lie in."""

from __future__ import annotations

import math

import numpy as np

from cadcoder.program.types import Arc, Loop, Point
from dataset_build.growing import Box, Rng, choose
from dataset_build.outlines import circle, inset, outline, rect

#: Chance that an outline has no hole.
_BARE = {"circle": 0.44, "rect": 0.8, "rounded": 0.55, "slot": 0.45, "polygon": 0.4, "hull": 0.3, "arcs": 0.65}


def pattern(rng: Rng, box: Box) -> tuple[list[Point], float]:
    """Return (points, room): a pattern of places in a box and the largest radius that fits round each."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    small = min(w, h)
    kind = choose(rng, {"corners": 0.36, "pair": 0.3, "row": 0.12, "grid": 0.08, "ring": 0.14})
    if kind == "corners":
        edge = small * float(rng.uniform(0.1, 0.24))
        points = [(cx + sx * (w / 2 - edge), cy + sy * (h / 2 - edge)) for sx in (-1, 1) for sy in (-1, 1)]
        return points, edge * 0.9
    if kind == "pair":
        if w >= h:
            reach = w / 2 - min(0.5 * h, 0.25 * w) * float(rng.uniform(0.4, 1.0))
            return [(cx - reach, cy), (cx + reach, cy)], 0.9 * min(w / 2 - reach, h / 2, reach)
        reach = h / 2 - min(0.5 * w, 0.25 * h) * float(rng.uniform(0.4, 1.0))
        return [(cx, cy - reach), (cx, cy + reach)], 0.9 * min(h / 2 - reach, w / 2, reach)
    if kind == "row":
        n = int(rng.integers(3, 7))
        if w >= h:
            return [(x0 + w * (i + 0.5) / n, cy) for i in range(n)], 0.45 * min(w / n, h)
        return [(cx, y0 + h * (i + 0.5) / n) for i in range(n)], 0.45 * min(h / n, w)
    if kind == "grid":
        nx, ny = int(rng.integers(2, 5)), int(rng.integers(2, 4))
        points = [(x0 + w * (i + 0.5) / nx, y0 + h * (j + 0.5) / ny) for i in range(nx) for j in range(ny)]
        return points, 0.45 * min(w / nx, h / ny)
    n = int(rng.choice([3, 4, 4, 5, 6, 6, 8]))
    r = small / 2 * float(rng.uniform(0.6, 0.85))
    start = float(rng.choice([0.0, 0.5])) * 2 * math.pi / n
    points = [
        (cx + r * math.cos(start + 2 * math.pi * i / n), cy + r * math.sin(start + 2 * math.pi * i / n))
        for i in range(n)
    ]
    return points, 0.85 * min(small / 2 - r, r * math.sin(math.pi / n))


def holes_for(rng: Rng, kind: str, box: Box, loop: Loop, bare: float | None = None) -> list[Loop]:
    """Return holes for an outline of a kind that fills a box about the origin.

    Args:
        rng: source of chance.
        kind: what :func:`outline` said.
        box: what :func:`outline` said.
        loop: what :func:`outline` said.
        bare: chance of none; None follows the kind.
    """
    w, h = box[2] - box[0], box[3] - box[1]
    small = min(w, h)
    if rng.random() < (_BARE.get(kind, 0.78) if bare is None else bare):
        return []
    if kind == "circle":
        what = choose(rng, {"bore": 0.8, "ring": 0.06, "bore+ring": 0.06, "shape": 0.08})
    elif kind == "slot":
        what = "ends"
    elif kind == "polygon":
        what = "bore"
    elif kind in ("rect", "rounded"):
        what = choose(rng, {"pattern": 0.4, "bore": 0.26, "frame": 0.16, "shape": 0.1, "bore+pattern": 0.08})
    else:
        return _in_free_room(rng, loop)
    r_in = small / 2 * float(rng.triangular(0.2, 0.54, 0.88) if kind == "circle" else rng.uniform(0.12, 0.8))
    out: list[Loop] = []
    if what in ("bore", "bore+ring", "bore+pattern"):
        if what != "bore":
            r_in *= 0.55
        out.append(circle((0.0, 0.0), r_in))
    if what == "frame":
        out.append(rect(inset(box, small * float(rng.uniform(0.04, 0.3)))))
    elif what == "shape":
        inner = inset(box, small * float(rng.uniform(0.25, 0.38)))
        shape = choose(rng, {"polygon": 0.3, "rect": 0.3, "slot": 0.2, "rounded": 0.2})
        out.append(outline(rng, inner[2] - inner[0], inner[3] - inner[1], shape)[0])
    elif what == "ends":
        reach = max(w, h) / 2 - small / 2
        r = small / 2 * float(rng.uniform(0.25, 0.8))
        out += [circle((s * reach, 0.0) if w >= h else (0.0, s * reach), r) for s in (-1, 1)]
    elif what in ("ring", "bore+ring"):
        n = int(rng.choice([3, 4, 4, 6, 6, 8]))
        reach = small / 2 * float(rng.uniform(0.62, 0.82))
        r = min(small / 2 - reach, reach * math.sin(math.pi / n)) * float(rng.uniform(0.3, 0.8))
        t0 = float(rng.choice([0.0, 0.5])) * 2 * math.pi / n
        turns = [t0 + 2 * math.pi * i / n for i in range(n)]
        out += [circle((reach * math.cos(t), reach * math.sin(t)), r) for t in turns]
        if what == "bore+ring":
            out[0] = circle((0.0, 0.0), min(r_in, 0.85 * (reach - r)))
    elif what in ("pattern", "bore+pattern"):
        points, room = pattern(rng, box)
        r = room * float(rng.uniform(0.3, 0.85))
        if what == "bore+pattern":
            points = [p for p in points if math.hypot(*p) > r_in + 1.2 * r]
        out += [circle(p, r) for p in points]
    return out


def _in_free_room(rng: Rng, loop: Loop) -> list[Loop]:
    """Return one to three round holes inside any outline: about the centres of its arcs, or where most room is."""
    points = np.array(loop.polyline(math.pi / 12))
    spots: list[Point] = []
    for c in loop.curves:
        if isinstance(c, Arc) and abs(c.sweep()[1]) > 1.5:
            found = c.circle()
            spots += [found[0]] if found is not None else []
    x0, y0, x1, y1 = loop.bounds()
    if not spots or rng.random() < 0.3:
        spots += [(x0 + (x1 - x0) * i / 12, y0 + (y1 - y0) * j / 12) for i in range(1, 12) for j in range(1, 12)]
    rooms = [(room, p) for room, p in zip(_rooms(points, np.array(spots)), spots, strict=True) if room > 0]
    rooms.sort(key=lambda q: -round(q[0], 6))
    out: list[Loop] = []
    taken: list[tuple[Point, float]] = []
    many = int(rng.choice([1, 1, 1, 2, 3]))
    share = float(rng.uniform(0.3, 0.75))
    for room, p in rooms:
        if room < 0.3 * rooms[0][0] or len(out) == many:
            break
        if all(math.dist(p, q) > 1.1 * (share * room + r) for q, r in taken):
            out.append(circle(p, share * room))
            taken.append((p, share * room))
    return out


def _rooms(polygon: np.ndarray, spots: np.ndarray) -> list[float]:
    """Return how far each spot (N, 2) is from the polygon (M, 2), negative outside it."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    along = b - a
    rel = spots[:, None] - a[None]
    t = np.clip((rel * along).sum(axis=2) / np.maximum((along * along).sum(axis=1), 1e-12), 0.0, 1.0)
    away = np.sqrt(((rel - t[..., None] * along) ** 2).sum(axis=2)).min(axis=1)
    above = (a[None, :, 1] > spots[:, None, 1]) != (b[None, :, 1] > spots[:, None, 1])
    rise = np.where(along[:, 1] == 0, 1.0, along[:, 1])
    crossing = a[None, :, 0] + along[None, :, 0] * rel[..., 1] / rise[None]
    inside = (above & (spots[:, None, 0] < crossing)).sum(axis=1) % 2 == 1
    return [float(d) if i else -float(d) for d, i in zip(away, inside, strict=True)]
