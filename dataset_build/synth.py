"""A synthesiser of sketch-extrude parts whose statistics follow DeepCAD's.

``sample(seed)`` is a part on the default model's grid: longest side 100, first sketch centred on the origin. A part
grows from a base (:mod:`dataset_build.bases`) by features in the base's frame, added (:mod:`dataset_build.added`) or
cut (:mod:`dataset_build.removed`). What does not build, falls apart or changes nothing is drawn again from the same
stream, so a seed gives the same part everywhere.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from manifold3d import Manifold
from numpy.typing import NDArray

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program import Extrude, Line, Loop, Operation, Plane, Program, Sketch, centered, emit, parse, scaled
from cadcoder.program.canonical import nest
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.snap import COARSE, FINE, SMALL, snap
from dataset_build.added import add
from dataset_build.bases import base
from dataset_build.growing import FRAMES, Growing, Rng, choose
from dataset_build.removed import cut

#: Longest side of a part in the unit of its program.
LONGEST = 100.0
#: Most characters of a part's script.
MAX_CODE = 900
#: How many features follow a base, and how often.
_MORE = {
    "prism": {"0": 0.63, "1": 0.2, "2": 0.095, "3": 0.04, "4": 0.035},
    "shaft": {"0": 0.7, "1": 0.2, "2": 0.1},
    "blocks": {"0": 0.6, "1": 0.25, "2": 0.15},
    "apart": {"0": 0.8, "1": 0.2},
}
#: A feature that changes the volume by a smaller share, and the box not at all, is not seen in a picture.
_SEEN = 2e-4
#: Corners nearer than this to another edge of their outline lie on it.
_TOUCH = 1e-6
#: Chance that a feature is a cut: the first, and later ones.
_CUT_FIRST, _CUT_LATER = 0.54, 0.38

FloatArray = NDArray[np.float64]


def sample(seed: int) -> Program:
    """Return the part of a seed.

    Args:
        seed: any non-negative integer.

    Returns:
        A canonical program that builds to one closed body (a few by intent to several), its longest side 100 within
        the grid, and that ``parse(emit(program, step=0.5))`` gives back.
    """
    return sample_solid(seed)[0]


def sample_solid(seed: int) -> tuple[Program, Solid]:
    """Return the part of a seed and the solid that it builds; see :func:`sample`."""
    rng = np.random.default_rng([seed, 1])
    while True:
        try:
            found = _finish(*_grow(rng))
        except InputError:
            continue  # did not build, or lost a loop to the grid: draw again
        if found is not None:
            return found


def _grow(rng: Rng) -> tuple[Program, bool]:
    """Return a part, and whether it is meant to be several bodies."""
    part = Growing(FRAMES[choose(rng, {"XY": 0.42, "XZ": 0.48, "YZ": 0.10})])
    kind = base(rng, part)
    for i in range(int(choose(rng, _MORE[kind]))):
        (cut if rng.random() < (_CUT_LATER if i else _CUT_FIRST) else add)(rng, part)
    return _boxes_lie_flat(Program(tuple(part.extrudes))), part.apart


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


def _finish(raw: Program, apart: bool) -> tuple[Program, Solid] | None:
    """Return the part scaled, centred and on the grid, and its solid, or None where it is not worth having."""
    placed = centered(scaled(raw, LONGEST / _longest(raw)))
    text = emit(_levelled(placed, snap(placed)), "plain", FINE)
    if len(text) > MAX_CODE:
        return None
    program = parse(text)
    if any(touches_itself(loop) for e in program.extrudes for loop in e.sketch.loops()):
        return None  # rounding has closed a wall or a gap of less than a unit
    solid = build(program)
    extent = np.ptp(solid.bounds, axis=0)
    if not 97.0 <= extent.max() <= 103.0 or extent.min() < 0.5 or (solid.n_bodies > 1) != apart:
        return None
    return (program, solid) if _every_step_shows(program, solid) else None


def touches_itself(loop: Loop) -> bool:
    """Whether a corner of an outline lies on another of its edges: such a sketch has no sound face."""
    if len(loop.curves) < 5:
        return False
    straight = [c.start for c in loop.curves if isinstance(c, Line)]
    points = np.array(straight if len(straight) == len(loop.curves) else loop.polyline(math.pi / 12))
    along = np.roll(points, -1, axis=0) - points
    off = points[:, None] - points[None]  # from where edge j begins to corner i
    squares = np.einsum("jk,jk->j", along, along)
    share = np.clip(np.einsum("ijk,jk->ij", off, along) / np.where(squares > 0, squares, 1.0), 0.0, 1.0)
    off -= share[:, :, None] * along
    gaps = np.einsum("ijk,ijk->ij", off, off)
    i = np.arange(len(points))
    gaps[i, i] = gaps[i, i - 1] = np.inf  # a corner ends two edges
    return bool(gaps.min() < _TOUCH * _TOUCH)


def _longest(program: Program) -> float:
    """Return the longest side of the box round all that is added; what is cut off it shows in the solid only."""
    boxes = np.array([_world_box(e) for e in program.extrudes if e.operation is not Operation.CUT])
    return float((boxes[:, 1].max(axis=0) - boxes[:, 0].min(axis=0)).max())


def _box(e: Extrude) -> list[tuple[float, float]]:
    boxes = [p.outer.bounds() for p in e.sketch.profiles]
    return [(x, y) for b in boxes for x in (b[0], b[2]) for y in (b[1], b[3])]


def _levelled(placed: Program, snapped: Program) -> Program:
    """Return the snapped program with ends that were at one height at one height again.

    Snapping rounds the ends of a thin prism finer than those of a thick one, which would lift a pocket's rim off the
    face that it is cut from. Here a height takes the fine step where any prism that ends there is thin.
    """

    def key(n: tuple[float, float, float], at: float) -> tuple[tuple[float, ...], float]:
        sign = -1.0 if min(n) < -0.5 else 1.0
        return tuple(round(abs(v), 6) for v in n), round(sign * at, 4)

    ends = []
    fine: set[tuple[tuple[float, ...], float]] = set()
    for e in placed.extrudes:
        n = e.sketch.plane.axes()[2]
        height = sum(o * d for o, d in zip(e.sketch.plane.origin, n, strict=True))
        low, high = height - e.backward, height + e.forward
        ends.append((n, low, high))
        if high - low < SMALL:
            fine |= {key(n, low), key(n, high)}
    out = []
    for e, (n, low, high) in zip(snapped.extrudes, ends, strict=True):
        a, b = (round(v / s) * s for v in (low, high) for s in [FINE if key(n, v) in fine else COARSE])
        if b - a < FINE:
            out.append(e)
            continue
        base = a if e.backward == 0 else b
        plane = replace(e.sketch.plane, origin=(n[0] * base + 0.0, n[1] * base + 0.0, n[2] * base + 0.0))
        sizes = (b - a, 0.0) if e.backward == 0 else (0.0, b - a)
        out.append(replace(e, sketch=replace(e.sketch, plane=plane), forward=sizes[0], backward=sizes[1]))
    return Program(tuple(out))


def _every_step_shows(program: Program, solid: Solid) -> bool:
    """Whether every operation after the first changes the part by more than nobody sees."""
    least = _SEEN * solid.volume
    first, *later = program.extrudes
    filled = [_world_box(first)]
    for e in later:
        box = _world_box(e)
        if e.operation is Operation.CUT or _prism_volume(e) < least or any(_overlap(box, b) for b in filled):
            break
        filled.append(box)
    else:
        return True  # all of them stand free of what was there before: no need to build the steps
    part = _tool(first)
    for e in later:
        before = part
        tool = _tool(e)
        part = before - tool if e.operation is Operation.CUT else before + tool
        if abs(part.volume() - before.volume()) <= _SEEN * before.volume() and np.allclose(
            before.bounding_box(), part.bounding_box(), atol=0.5
        ):
            return False
    return True


def _tool(e: Extrude) -> Manifold:
    return build(Program((replace(e, operation=Operation.NEW),)), math.pi / 12).manifold


def _prism_volume(e: Extrude) -> float:
    areas = (abs(p.outer.signed_area()) - sum(abs(h.signed_area()) for h in p.holes) for p in e.sketch.profiles)
    return sum(areas) * (e.forward + e.backward)


def _world_box(e: Extrude) -> FloatArray:
    corners = [e.sketch.plane.to_world((x, y), h) for x, y in _box(e) for h in (-e.backward, e.forward)]
    return np.array([np.min(corners, axis=0), np.max(corners, axis=0)])


def _overlap(a: FloatArray, b: FloatArray) -> bool:
    """Whether two boxes (2, 3) share more than a face."""
    return bool((np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]) > 1e-6).all())
