"""What the benchmark measures of meshes beside the score: sharp edges, faces, and files for the report's 3D view."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

Vertices = npt.NDArray[np.float64]
Faces = npt.NDArray[np.int32]

#: Edges that bend by more than this (degrees) are sharp; the mesh of a rounded edge bends by about 6 at a time.
SHARP = 30.0
#: Faces of the mesh that meet at less than this (degrees) are one face of the part.
SMOOTH = 15.0


def bends(
    vertices: Vertices, faces: Faces
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return the edges of a closed mesh: angle between their faces (degrees), length, and the two faces (E, 2)."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sizes = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(sizes, 1e-300)[:, None]
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    pairs = np.stack([owner[same], owner[same + 1]], axis=1)
    # Slivers have no direction of their own.
    good = (sizes[pairs] > 1e-12 * sizes.max(initial=0.0)).all(axis=1)
    pairs, same = pairs[good], same[good]
    cosines = np.clip((normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1), -1.0, 1.0)
    ends = vertices[edges[same]]
    return np.degrees(np.arccos(cosines)), np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), pairs


def sharp_length(vertices: Vertices, faces: Faces) -> float:
    """Return the length of all sharp edges of a closed mesh, in its own unit."""
    angles, lengths, _ = bends(vertices, faces)
    return float(lengths[angles > SHARP].sum())


def count_faces(vertices: Vertices, faces: Faces) -> int:
    """Return how many faces a part has: patches of its mesh that bend nowhere sharply, a cylinder's side being one.

    The same for scripts, STEP and STL, so that parts of any source have a complexity that can be compared.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    angles, _, pairs = bends(vertices, faces)
    joined = pairs[angles < SMOOTH]
    graph = coo_matrix((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(len(faces), len(faces)))
    return int(connected_components(graph, directed=False)[0])


def save_mesh(path: Path, vertices: Vertices, faces: Faces) -> None:
    """Write a mesh for the report (NumPy zip: ``v`` (V, 3) float32, ``f`` (F, 3) int32), whole or not at all."""
    # Two threads may write the same shape: each has a name of its own.
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part.npz")
    np.savez(beside, v=vertices.astype(np.float32), f=faces.astype(np.int32))
    beside.replace(path)


def load_mesh(path: Path) -> tuple[Vertices, Faces] | None:
    """Return a mesh of :func:`save_mesh`, None where there is none."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return held["v"].astype(np.float64), held["f"].astype(np.int32)
    except (OSError, ValueError, KeyError):
        return None
