"""Programs as DeepCAD's quantised command sequences, and how alike two are command by command.

Sequence and measures: Wu et al., "DeepCAD", ICCV 2021, sections 3.1 and 5.1. A sequence is N x 17 integers, as in the
files of the data set: the command (``COMMANDS``) and 16 parameters x, y, alpha, f, r | theta, phi, gamma | px, py, pz,
s | e1, e2, b, u of 256 levels, of which a command uses its own and leaves -1 in the others. Programs are compared in
canonical form (order and start of loops, planes), so that two ways of writing one sketch are one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cadcoder.geometry.build import build
from cadcoder.program.canonical import canonical, scaled
from cadcoder.program.types import Arc, Circle, Extrude, Line, Loop, Operation, Program

IntArray = NDArray[np.int64]

LINE, ARC, CIRCLE, EOS, SOL, EXT = range(6)
OPERATIONS = (Operation.NEW, Operation.JOIN, Operation.CUT, Operation.INTERSECT)
LEVELS = 256
#: Pixels from a sketch's start point to its furthest extent: 0.75 of the half canvas, less one.
CANVAS = 95.0
#: DeepCAD scales a part so that its furthest coordinate is here; one within ``NEAR`` of it (relative) is there already,
#: since scripts in DeepCAD's frame are quantised.
FRAME, NEAR = 0.75, 0.1
#: Parameters that differ by less are equal (section 5.1).
TOLERANCE = 3
#: Columns of the parameters that are names and not numbers: f of an arc; b and u of an extrude.
EXACT = (4, 15, 16)


def sequence(program: Program) -> IntArray:
    """Return the program's quantised command sequence (N, 17), ended by ``EOS``.

    Raises:
        InputError: if the program builds no solid, which is needed for its size.
    """
    furthest = float(np.abs(build(program).bounds).max())
    if abs(furthest - FRAME) > NEAR * FRAME:
        program = scaled(program, FRAME / furthest)
    rows: list[list[int]] = []
    for extrude in canonical(program).extrudes:
        rows += _extrude(extrude)
    return np.array([*rows, _row(EOS)], dtype=np.int64)


def accuracy(made: IntArray, truth: IntArray) -> tuple[float, float | None]:
    """Return (ACC_cmd, ACC_param), each in [0, 1]; the second is None where no command with parameters is right.

    ACC_cmd: the share of the true commands, ``EOS`` included, that stand at the same place in ``made``. ACC_param: over
    the commands that do, the share of their parameters that differ by less than ``TOLERANCE`` of 256 levels; the flag
    of an arc and the kinds of an extrude must be equal.
    """
    n = min(len(made), len(truth))
    right = made[:n, 0] == truth[:n, 0]
    mine, true = made[:n, 1:][right], truth[:n, 1:][right]
    near = np.abs(mine - true) < TOLERANCE
    for column in EXACT:
        near[:, column - 1] = mine[:, column - 1] == true[:, column - 1]
    used = true >= 0
    return float(right.sum() / len(truth)), float(near[used].mean()) if used.any() else None


def _row(command: int, **values: int) -> list[int]:
    columns = ("x", "y", "alpha", "f", "r", "theta", "phi", "gamma", "px", "py", "pz", "s", "e1", "e2", "b", "u")
    return [command, *(values.get(c, -1) for c in columns)]


def _extrude(extrude: Extrude) -> list[list[int]]:
    loops = list(extrude.sketch.loops())
    x0, y0 = _start(loops[0])
    boxes = np.array([loop.bounds() for loop in loops])
    size = float(max(np.abs(boxes[:, [0, 2]] - x0).max(), np.abs(boxes[:, [1, 3]] - y0).max()))
    rows = []
    for loop in loops:
        rows += [_row(SOL), *_loop(loop, x0, y0, CANVAS / size)]
    x, y, n = (np.array(v) for v in extrude.sketch.plane.axes())
    theta = math.acos(min(1.0, max(-1.0, float(n[2]))))
    phi = math.atan2(n[1], n[0]) if math.hypot(n[0], n[1]) > 1e-9 else 0.0
    ref_x = np.array([math.cos(theta) * math.cos(phi), math.cos(theta) * math.sin(phi), -math.sin(theta)])
    ref_y = np.array([-math.sin(phi), math.cos(phi), 0.0])
    gamma = math.atan2(float(x @ ref_y), float(x @ ref_x))
    px, py, pz = (_level((v + 1) / 2) for v in extrude.sketch.plane.to_world((x0, y0)))
    forward, backward, second = extrude.forward, extrude.backward, 0.0
    if extrude.is_symmetric:
        kind, first = 1, forward
    elif backward == 0 or forward == 0:
        kind, first = 0, forward if backward == 0 else -backward
    else:
        kind, first, second = 2, forward, backward
    angles = {k: _level((v / math.pi + 1) / 2) for k, v in (("theta", theta), ("phi", phi), ("gamma", gamma))}
    rows.append(
        _row(
            EXT, **angles, px=px, py=py, pz=pz, s=_level(size / 2), e1=_level((first + 1) / 2),
            e2=_level((second + 1) / 2), b=OPERATIONS.index(extrude.operation), u=kind,
        )
    )  # fmt: skip
    return rows


def _start(loop: Loop) -> tuple[float, float]:
    first = loop.curves[0]
    if isinstance(first, Circle):
        return first.center[0] - first.radius, first.center[1]
    return first.start


def _loop(loop: Loop, x0: float, y0: float, scale: float) -> list[list[int]]:
    def pixel(v: float, start: float) -> int:
        return min(LEVELS - 1, max(0, round((v - start) * scale) + LEVELS // 2))

    rows = []
    for c in loop.curves:
        if isinstance(c, Circle):
            radius = min(LEVELS - 1, max(1, round(c.radius * scale)))
            rows.append(_row(CIRCLE, x=pixel(c.center[0], x0), y=pixel(c.center[1], y0), r=radius))
            continue
        end = {"x": pixel(c.end[0], x0), "y": pixel(c.end[1], y0)}
        if isinstance(c, Line) or c.circle() is None:
            rows.append(_row(LINE, **end))
        elif isinstance(c, Arc):
            _, sweep = c.sweep()
            rows.append(_row(ARC, **end, alpha=_level(abs(sweep) / (2 * math.pi)), f=int(sweep > 0)))
    return rows


def _level(share: float) -> int:
    """Return the level of 256 of a number in [0, 1]."""
    return min(LEVELS - 1, max(0, round(share * LEVELS)))
