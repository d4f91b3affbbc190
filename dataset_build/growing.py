"""A part while the synthesiser grows it: prisms in the frame of its base, and the boxes that features stand on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from cadcoder.program import Extrude, Loop, Operation, Plane, Sketch
from cadcoder.program.canonical import map_loop, nest, standard_plane
from cadcoder.program.types import Point, Vector

#: (x min, y min, x max, y max)
Box: TypeAlias = tuple[float, float, float, float]
Rng: TypeAlias = np.random.Generator

#: The u, v and w axes of a part whose base is drawn on a standard plane.
FRAMES: dict[str, tuple[Vector, Vector, Vector]] = {
    "XY": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "XZ": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "YZ": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
}


@dataclass
class Growing:
    """A part while it grows: features in the local frame (u, v, w), and the boxes of what was added.

    Attributes:
        axes: u, v and w in the world.
        extrudes: what there is.
        boxes: (box in u and v, low w, high w) of the solids that features may stand on.
        blocks: those of them that are filled to the edge, so that others can stand beside them.
        apart: whether it is meant to fall into several bodies.
    """

    axes: tuple[Vector, Vector, Vector]
    extrudes: list[Extrude] = field(default_factory=list)
    boxes: list[tuple[Box, float, float]] = field(default_factory=list)
    blocks: list[tuple[Box, float, float]] = field(default_factory=list)
    apart: bool = False

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

    def seen(self, axis: int) -> bool:
        """Whether the GenCAD camera sees the far end of the part along u (``axis`` 0) or v, else the near end."""
        x, y, z = self.axes[axis]
        return x - y + z > 0

    def _add(self, loops: list[Loop], plane: Plane, length: float, operation: Operation) -> None:
        operation = operation if self.extrudes else Operation.NEW
        made = Extrude(Sketch(nest(loops), plane), max(length, 0.0), max(-length, 0.0), operation)
        self.extrudes.append(standard_plane(made))

    def support(self, rng: Rng) -> tuple[Box, float, float]:
        """Return the box to work on: mostly the base, else the last."""
        return self.boxes[0] if rng.random() < 0.6 else self.boxes[-1]


def choose(rng: Rng, weights: dict[str, float]) -> str:
    """Return a key, drawn by weight."""
    at = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return next(reversed(weights))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Return a number between two, its logarithm drawn evenly."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def moved(loop: Loop, by: Point) -> Loop:
    """Return a loop moved within its plane."""
    return map_loop(loop, lambda p: (p[0] + by[0], p[1] + by[1]))


def middle(box: Box) -> Point:
    """Return the middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def about_zero(box: Box) -> Box:
    """Return a box moved to the origin."""
    w, h = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    return -w, -h, w, h


def inside(rng: Rng, box: Box, share_low: float = 0.15, share_high: float = 1.0) -> Box:
    """Return a box inside another: right across it, centred, on its axis, at an edge or anywhere."""
    x0, y0, x1, y1 = box
    w, h = (x1 - x0) * float(rng.uniform(share_low, share_high)), (y1 - y0) * float(rng.uniform(share_low, share_high))
    place = choose(rng, {"across": 0.3, "centre": 0.34, "axis": 0.16, "edge": 0.14, "free": 0.06})
    if place == "across":
        slide = float(rng.choice([0.0, 0.5, 0.5, 1.0]))
        if rng.random() < 0.5:
            return x0, y0 + slide * (y1 - y0 - h), x1, y0 + slide * (y1 - y0 - h) + h
        return x0 + slide * (x1 - x0 - w), y0, x0 + slide * (x1 - x0 - w) + w, y1
    if rng.random() < 0.25:
        w = h = min(w, h)
    sx, sy = 0.5, 0.5
    if place == "axis":
        sx, sy = (float(rng.uniform(0.05, 0.95)), 0.5) if rng.random() < 0.5 else (0.5, float(rng.uniform(0.05, 0.95)))
    elif place == "edge":
        sx, sy = float(rng.choice([0.0, 0.5, 1.0])), float(rng.choice([0.0, 0.5, 1.0]))
    elif place == "free":
        sx, sy = float(rng.random()), float(rng.random())
    ax, ay = x0 + sx * (x1 - x0 - w), y0 + sy * (y1 - y0 - h)
    return ax, ay, ax + w, ay + h


def mirrored(rng: Rng, loop: Loop, box: Box, chance: float) -> list[Loop]:
    """Return the loop, and by chance its mirror image across the middle of a box where the two are clear."""
    if rng.random() >= chance:
        return [loop]
    x0, y0, x1, y1 = loop.bounds()
    cx, cy = middle(box)
    off_x, off_y = abs((x0 + x1) / 2 - cx) / (box[2] - box[0]), abs((y0 + y1) / 2 - cy) / (box[3] - box[1])
    gap = 0.02 * max(box[2] - box[0], box[3] - box[1])
    if off_x >= off_y and (x0 - cx > gap or cx - x1 > gap):
        return [loop, map_loop(loop, lambda p: (2 * cx - p[0], p[1]))]
    if off_y >= off_x and (y0 - cy > gap or cy - y1 > gap):
        return [loop, map_loop(loop, lambda p: (p[0], 2 * cy - p[1]))]
    return [loop]
