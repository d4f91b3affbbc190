"""Coarse occupancy of a closed mesh, to rank poses cheaply before exact booleans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadcoder.geometry.solid import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Grid:
    """Occupancy in a box with its own cell size along each axis, so that a thin plate fills as many cells as a cube.

    Attributes:
        cells: (n + 1, n + 1, n + 1) bool; the last layer along each axis is empty and stands for everything outside.
        low: (3,) lowest corner of the box.
        step: (3,) cell size.
    """

    cells: NDArray[np.bool_]
    low: FloatArray
    step: FloatArray

    def contains(self, points: FloatArray) -> NDArray[np.bool_]:
        """Return whether each point (..., 3) falls into an occupied cell."""
        n = self.cells.shape[0] - 1
        index = np.floor((points - self.low) / self.step)
        np.copyto(index, n, where=(index < 0) | (index >= n))
        i = index.astype(np.intp)
        flat = (i[..., 0] * (n + 1) + i[..., 1]) * (n + 1) + i[..., 2]
        return np.asarray(self.cells.ravel()[flat])

    def samples(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return points (``count``, 3) spread at random over the occupied cells."""
        occupied = np.argwhere(self.cells)
        if len(occupied) > count:
            chosen = occupied[rng.choice(len(occupied), count, replace=False)]
        else:
            chosen = occupied[np.arange(count) % len(occupied)]
        return np.asarray(self.low + (chosen + rng.random(chosen.shape)) * self.step)


def voxelise(
    vertices: FloatArray, faces: IntArray, n: int = 40, box: tuple[FloatArray, FloatArray] | None = None
) -> Grid:
    """Mark the cells of an ``n``-cubed grid over a box, by default the mesh's, whose centres lie inside.

    One ray along z through every column of cell centres: a scan line finds the triangles that it pierces, and
    the running sum of their orientations is the winding number.

    Args:
        vertices: (V, 3).
        faces: (F, 3), a closed outward surface.
        n: cells along each axis.
        box: lowest and highest corner of the grid, (3,) each; it must hold the mesh.
    """
    low, high = (vertices.min(axis=0), vertices.max(axis=0)) if box is None else box
    step = np.maximum(high - low, 1e-12) / n
    g = (vertices - low) / step - 0.5  # cell centres lie at whole numbers
    cells = np.zeros((n + 1, n + 1, n + 1), dtype=bool)
    cells[:n, :n, :n] = winding(g, faces, n)[:, :, :n] > 0.5
    if not cells.any():  # thinner than the grid everywhere: its box is the best that can be said
        first, last = ((v.astype(np.intp).clip(0, n - 1)) for v in (g.min(axis=0) + 0.5, g.max(axis=0) + 0.5))
        cells[tuple(slice(f, e + 1) for f, e in zip(first, last, strict=True))] = True
    return Grid(cells, low, step)


def winding(g: FloatArray, faces: IntArray, n: int) -> FloatArray:
    """Return how often the surface winds about each cell centre, counted from below along z, (n, n, n + 1).

    The last layer is what is left beyond the part: not 0 where a ray went through a hole.

    Args:
        g: (V, 3) vertices in cells, the centre of cell (i, j, k) at (i, j, k); all within -0.5 and n - 0.5.
        faces: (F, 3).
        n: cells along each axis.
    """
    # Half-edges, each run in the same direction by both of its triangles, so that both find the same crossing.
    start, end = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    a, b = g[np.minimum(start, end)], g[np.maximum(start, end)]
    below = np.floor(np.minimum(a[:, 1], b[:, 1])).astype(np.intp)
    count = np.floor(np.maximum(a[:, 1], b[:, 1])).astype(np.intp) - below
    edge, row = _ranges(below + 1, count)
    t = (row - a[edge, 1]) / (b[edge, 1] - a[edge, 1])
    x = a[edge, 0] + t * (b[edge, 0] - a[edge, 0])
    z = a[edge, 2] + t * (b[edge, 2] - a[edge, 2])
    # Every triangle is crossed twice or not at all by a row: sort to bring the two together.
    order = np.argsort((edge // 3) * (n + 1) + row, kind="stable").reshape(-1, 2)
    triangle, row = edge[order[:, 0]] // 3, row[order[:, 0]]
    x, z = x[order], z[order]
    swap = x[:, 0] > x[:, 1]
    x[swap], z[swap] = x[swap, ::-1], z[swap, ::-1]
    left = np.floor(x[:, 0]).astype(np.intp)
    span, column = _ranges(left + 1, np.floor(x[:, 1]).astype(np.intp) - left)
    width = np.maximum(x[span, 1] - x[span, 0], 1e-300)
    height = z[span, 0] + (column - x[span, 0]) / width * (z[span, 1] - z[span, 0])
    p, q, r = g[faces.T, :2]
    up = (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])
    sign = -np.sign(up[triangle[span]])
    level = np.clip(np.ceil(height).astype(np.intp), 0, n)
    index = (column * n + row[span]) * (n + 1) + level
    counted = np.bincount(index, weights=sign, minlength=n * n * (n + 1)).reshape(n, n, n + 1).cumsum(axis=2)
    return np.asarray(counted)


def _ranges(first: NDArray[np.intp], count: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (index of the range, value) of all the values of the ranges first, first + 1, ... of ``count`` each."""
    owner = np.repeat(np.arange(len(first)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, first[owner] + offset
