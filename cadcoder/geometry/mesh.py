"""Loose triangles made into a closed, outward :class:`Solid`; what had to be done is noted on it."""

from __future__ import annotations

from typing import Any

import manifold3d
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cadcoder.errors import InputError
from cadcoder.geometry.solid import FloatArray, IntArray, Solid, as_manifold

#: Vertices closer than this fraction of the size are one: files with 32-bit numbers hold about seven digits.
WELD = 1e-6
#: Holes are filled only if they make up no more than this fraction of the surface.
FILLED = 0.1


def solid_from_triangles(vertices: ArrayLike, faces: ArrayLike) -> Solid:
    """Weld loose triangles into a closed outward solid; overlapping or touching bodies are united.

    Tried in turn, and written into :attr:`Solid.notes` from the second on: equal vertices welded; near ones welded
    (``"welded"``); windings made consistent and small holes filled (``"repaired"``).

    Args:
        vertices: (V, 3) positions; repeated positions are allowed (an STL repeats them all).
        faces: (F, 3) indices.

    Raises:
        InputError: if the triangles do not enclose a volume even then.
    """
    loose = Solid(vertices, faces)
    size = float(loose.extents.max())
    if size <= 0:
        raise InputError("the mesh is a single point")
    for tolerance, note in ((1e-9 * size, ()), (WELD * size, ("welded",))):
        v, f = weld(loose.vertices, loose.faces, tolerance)
        solid = _close(v, f, note)
        if solid is not None:
            return solid
    solid = _repaired(v, f)
    if solid is None:
        raise InputError("the mesh is not closed: it has holes or faces that cross; repair it, or export the part anew")
    return solid


def _repaired(vertices: FloatArray, faces: IntArray) -> Solid | None:
    """Make windings consistent and fill holes; None where that does not close it or would invent much of it."""
    import trimesh

    mesh: Any = trimesh.Trimesh(vertices, faces, process=True)
    repair: Any = trimesh.repair
    repair.fix_normals(mesh, multibody=True)
    before = float(mesh.area)
    repair.fill_holes(mesh)
    solid = _close(np.asarray(mesh.vertices), np.asarray(mesh.faces), ("repaired",))
    return solid if solid is not None and abs(solid.area - before) <= FILLED * before else None


def weld(vertices: FloatArray, faces: IntArray, tolerance: float) -> tuple[FloatArray, IntArray]:
    """Join vertices nearer than ``tolerance`` and drop the faces that this makes degenerate.

    Returns:
        (vertices (V', 3), faces (F', 3)) without unused vertices.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    unique, first = np.unique(vertices, axis=0, return_inverse=True)
    pairs: NDArray[np.intp] = cKDTree(unique).query_pairs(tolerance, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(unique),) * 2)
    count, label = connected_components(graph, directed=False)
    positions = np.empty((count, 3))
    positions[label] = unique
    f = label[first.reshape(-1)][faces]
    f = f[(f[:, 0] != f[:, 1]) & (f[:, 1] != f[:, 2]) & (f[:, 2] != f[:, 0])]
    used, f = np.unique(f, return_inverse=True)
    return positions[used], np.asarray(f.reshape(-1, 3), dtype=np.int32)


def _close(vertices: FloatArray, faces: IntArray, notes: tuple[str, ...]) -> Solid | None:
    """Return the solid if the triangles form a closed oriented surface, else None."""
    if len(faces) < 4:
        return None
    made = as_manifold(vertices, faces)
    if made.status() != manifold3d.Error.NoError or made.is_empty():
        return None
    volume = made.volume()
    if volume < 0:
        return _close(vertices, faces[:, ::-1], notes)
    box = np.asarray(made.bounding_box()).reshape(2, 3)
    if volume <= 1e-12 * float(np.ptp(box, axis=0).max()) ** 3:
        return None
    return Solid.from_manifold(_united(made), notes)


def _united(made: manifold3d.Manifold) -> manifold3d.Manifold:
    """Unite the shells that overlap, so that a volume is counted once; each cavity stays in its own body."""
    shells = made.decompose()
    if len(shells) < 2:
        return made
    bodies = sorted((s for s in shells if s.volume() > 0), key=lambda s: s.volume())
    for cavity in (s for s in shells if s.volume() < 0):
        mesh = cavity.to_mesh64()
        filled = as_manifold(mesh.vert_properties[:, :3], mesh.tri_verts[:, ::-1])
        for i, body in enumerate(bodies):
            if body.volume() > filled.volume() and _contains(body, filled):
                bodies[i] = body - filled
                break
    return manifold3d.Manifold.batch_boolean(bodies, manifold3d.OpType.Add)


def _contains(outer: manifold3d.Manifold, inner: manifold3d.Manifold) -> bool:
    """Whether ``inner``'s box lies within ``outer``'s."""
    (a_low, a_high), (b_low, b_high) = (np.asarray(m.bounding_box()).reshape(2, 3) for m in (outer, inner))
    return bool((a_low <= b_low).all() and (b_high <= a_high).all())
