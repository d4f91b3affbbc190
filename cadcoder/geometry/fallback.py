"""What is measured where a mesh cannot be made a closed surface: a solid of voxels, which says so.

The fall-back of :func:`~cadcoder.geometry.mesh.solid_from_triangles`, in words: windings are made consistent, every
cell of a 48-cubed grid over the part is inside if rays along at least two of the three axes say so (one that went
through a hole has no say), and the cells' outer faces are the surface. IoU is then good to about 0.02
for a compact part and worse for thin ones; ``notes`` holds ``"voxels"``, and so does the row of ``cadcoder score``.
"""

from __future__ import annotations

from typing import Any

import manifold3d
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cadcoder.errors import InputError
from cadcoder.geometry.mesh import solid_from_triangles, weld
from cadcoder.geometry.solid import FloatArray, IntArray, Solid, as_manifold
from cadcoder.geometry.voxels import winding

NOTE = "voxels"
CELLS = 48


def solid_or_voxels(vertices: ArrayLike, faces: ArrayLike) -> Solid:
    """Return the closed solid of loose triangles, or its voxels where they do not close.

    Raises:
        InputError: if the arrays are no triangles, or enclose nothing even so.
    """
    try:
        return solid_from_triangles(vertices, faces)
    except InputError as error:
        try:
            return voxel_solid(Solid(vertices, faces))
        except InputError:
            raise error from None


def voxel_solid(solid: Solid, n: int = CELLS) -> Solid:
    """Return the solid as voxels, with the note ``"voxels"``.

    Raises:
        InputError: if no cell is inside.
    """
    import trimesh

    low, size = solid.bounds[0], solid.extents
    if not (size > 0).all():
        raise InputError("the mesh is flat and encloses nothing")
    vertices, faces = weld(solid.vertices, solid.faces, 1e-9 * float(size.max()))
    mesh: Any = trimesh.Trimesh(vertices, faces, process=False)
    repair: Any = trimesh.repair
    repair.fix_normals(mesh, multibody=True)
    step = size / n
    inside = _inside((np.asarray(mesh.vertices) - low) / step - 0.5, np.asarray(mesh.faces, dtype=np.int32), n)
    if not inside.any():
        raise InputError("the mesh encloses nothing")
    points, quads = _surface(inside)
    made = as_manifold(low + points * step, quads)
    if made.status() != manifold3d.Error.NoError or made.is_empty():
        raise InputError(f"the voxels of the mesh are no closed surface ({made.status().name})")
    return Solid.from_manifold(made, tuple(dict.fromkeys((*solid.notes, NOTE))))


def _inside(g: FloatArray, faces: IntArray, n: int) -> NDArray[np.bool_]:
    """Return the cells (n, n, n) that rays along at least two axes find inside."""
    votes = np.zeros((n, n, n), dtype=np.int8)
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]  # cyclic, so that windings keep their sense
        count = np.abs(winding(np.ascontiguousarray(g[:, order]), faces, n))
        found = (count[:, :, :n] > 0.5) & (count[:, :, n:] < 0.5)
        votes += np.transpose(found, np.argsort(order))
    return np.asarray(votes >= 2)


def _surface(inside: NDArray[np.bool_]) -> tuple[FloatArray, IntArray]:
    """Return (points (P, 3) in cells, triangles (T, 3), outward) of the outer faces of the cells."""
    n = inside.shape[0]
    padded = np.pad(inside, 1)
    corners = []
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        for side in (0, 1):
            beyond = np.roll(padded, 1 if side == 0 else -1, axis=axis)
            cells = np.argwhere(padded & ~beyond) - 1
            square = np.zeros((len(cells), 4, 3), dtype=np.int64)
            square[:] = cells[:, None, :]
            square[:, :, axis] += side
            square[:, [1, 2], i] += 1
            square[:, [2, 3], j] += 1
            corners.append(square if side else square[:, ::-1])
    every = np.concatenate(corners).reshape(-1, 3)
    keys = (every[:, 0] * (n + 1) + every[:, 1]) * (n + 1) + every[:, 2]
    unique, index = np.unique(keys, return_inverse=True)
    index = index.reshape(-1, 4)
    quads = np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]]).astype(np.int32)
    points = np.stack([unique // (n + 1) ** 2, unique // (n + 1) % (n + 1), unique % (n + 1)], axis=1)
    return points.astype(np.float64), quads
