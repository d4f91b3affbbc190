"""Simple parts to start a fit from where none of the model's own guesses comes near the picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cadcoder.render.compare import Observation

#: Longest side of the parts, and the shortest side as a fraction of it.
LONGEST, THINNEST = 100.0, 0.015
#: The plane across each axis, and the axes in it.
_PLANES = (("YZ", 0, (1, 2)), ("XZ", 1, (0, 2)), ("XY", 2, (0, 1)))


def simple_parts(observation: Observation) -> list[str]:
    """Return scripts of a box and of a cylinder and a ring along each axis, as large as the silhouette says.

    Args:
        observation: the picture, prepared.
    """
    sides = box_sides(observation.mask, *observation.camera.axes()[:2])
    a, b, c = (f"{v:.1f}" for v in sides)
    bodies = [f'"XY").rect({a}, {b}).extrude({c})']
    for plane, axis, (i, j) in _PLANES:
        radius, length = (sides[i] + sides[j]) / 4, sides[axis]
        bodies.append(f'"{plane}").circle({radius:.1f}).extrude({length:.1f})')
        bodies.append(f'"{plane}").circle({radius:.1f}).circle({radius / 2:.1f}).extrude({length:.1f})')
    return [f"import cadquery as cq\n\nresult = cq.Workplane({body}\n" for body in bodies]


def box_sides(mask: NDArray[np.bool_], right: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sides (3,) of the box whose silhouette has the mask's widths; the longest is 100.

    Seen without perspective, a box with sides s is a zonogon: its width across the projected axis p_i is the sum over
    the other axes of s_j |p_j x p_i| / |p_i|. Three measured widths give the three sides.

    Args:
        mask: (h, w) the silhouette.
        right: (3,) unit vector to the right of the picture, in the part's coordinates.
        up: (3,) unit vector upward.
    """
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, -rows], axis=1).astype(np.float64)
    p = np.stack([right, up], axis=1)
    matrix, widths = np.zeros((3, 3)), np.zeros(3)
    for i in range(3):
        length = max(float(np.linalg.norm(p[i])), 1e-9)
        widths[i] = np.ptp(points @ (np.array([-p[i, 1], p[i, 0]]) / length)) + 1.0
        matrix[i] = np.abs(p[:, 0] * p[i, 1] - p[:, 1] * p[i, 0]) / length
    # Least squares: seen along an axis, the side that does not show is undetermined and comes out thin.
    sides = np.asarray(np.linalg.lstsq(matrix, widths, rcond=1e-3)[0], dtype=np.float64)
    sides = np.maximum(sides / max(float(sides.max()), 1e-9), THINNEST) * LONGEST
    return sides


def varied(codes: list[str], count: int) -> list[str]:
    """Return some of the scripts, in their order: the first few, and the first of each further structure.

    Scripts that differ in their numbers only lead to the same fit.

    Args:
        codes: scripts, the best first.
        count: how many to return at most.
    """
    first = list(dict.fromkeys(codes))
    chosen = dict.fromkeys(first[: max(1, count * 3 // 8)])
    structures = {_structure(code) for code in chosen}
    for code in first:
        if len(chosen) >= count:
            break
        if (structure := _structure(code)) not in structures:
            structures.add(structure)
            chosen[code] = None
    for code in first:
        if len(chosen) >= count:
            break
        chosen[code] = None
    return [code for code in first if code in chosen]


def _structure(code: str) -> str:
    return re.sub(r"-?\d+(\.\d+)?", "#", code)
