"""A solid made ready to be drawn: corners with normals, and the edges that a draughtsman would draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from cadcoder.errors import InputError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

#: Two facets that meet at more than this angle (degrees) meet in an edge; below, they share a curved face.
FEATURE_ANGLE = 25.0


class SolidLike(Protocol):
    """Anything with vertices (V, 3) and triangles (F, 3), counter-clockwise seen from outside.

    Where it also has ``surfaces`` (F,), the number of the surface that each triangle lies on (see
    :class:`cadcoder.geometry.solid.Solid`), the edges are exactly those between surfaces and the seams of full
    cylinders, as a boundary representation draws them.
    """

    @property
    def vertices(self) -> npt.NDArray[np.float64]:
        """Vertices (V, 3)."""

    @property
    def faces(self) -> npt.NDArray[np.int32]:
        """Triangles (F, 3), indices of vertices."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawable:
    """What the window draws, centred on the origin.

    Attributes:
        corners: (3F, 3) float32, the triangles' corners, three a triangle, less ``centre``.
        normals: (3F, 3) float32, unit normals a corner, smooth across curved faces.
        points: (V, 3) float32, the solid's vertices less ``centre``.
        edges: (E, 2) int32, feature edges as pairs of ``points``.
        low: corner (3,) of the axis-aligned bounding box, less ``centre``; the opposite corner is its negative.
        centre: (3,) the middle of the box, in the solid's own coordinates.
    """

    corners: Floats
    normals: Floats
    points: Floats
    edges: Ints
    low: npt.NDArray[np.float64]
    centre: npt.NDArray[np.float64]


def drawable(
    solid: SolidLike, *, smooth: bool = True, seams: bool = True, feature_angle: float = FEATURE_ANGLE
) -> Drawable:
    """Prepare a solid for drawing.

    Args:
        solid: vertices (V, 3) and triangles (F, 3); equal corners must be one vertex.
        smooth: whether curved faces get smooth normals; otherwise every triangle is flat.
        seams: whether all borders of surfaces are edges, where the solid knows its surfaces: seams, tangent edges and
            the traces of joined bodies too, as a CAD viewer draws them. Otherwise only what shows on a real part.
        feature_angle: smallest angle between facets that makes an edge, in degrees, without ``seams``.

    Raises:
        InputError: if the solid has no triangles or a coordinate is not finite.
    """
    vertices = np.asarray(solid.vertices, dtype=np.float64)
    faces = np.asarray(solid.faces, dtype=np.int64)
    if len(faces) == 0 or not np.isfinite(vertices).all():
        raise InputError("the solid cannot be drawn: it is empty or has a coordinate that is not finite")
    used = vertices[faces.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    centre = (low + high) / 2
    corners = (used - centre).reshape(-1, 3, 3)
    areas = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt(np.einsum("ij,ij->i", areas, areas))
    size = float((high - low).max())
    flat = length <= 1e-10 * size * size
    normals = areas / np.where(flat, 1.0, length)[:, None]

    start, end, first, second, open_edges = _adjacency(faces, len(vertices))
    if flat.any():
        _repair(normals, flat, vertices, start, end, first, second)
    cosine = np.einsum("ij,ij->i", normals[first], normals[second])
    surfaces: Any = getattr(solid, "surfaces", None) if seams else None
    if surfaces is not None:
        surfaces = np.asarray(surfaces)
        a, b = surfaces[first], surfaces[second]
        # Different surfaces, or the thirds 0 and 2 of one cylinder: its seam.
        crease = (a // 4 != b // 4) | (np.abs(a % 4 - b % 4) == 2)
    else:
        crease = cosine < math.cos(math.radians(feature_angle))
    edges = np.concatenate([np.stack([start[crease], end[crease]], axis=1), open_edges]).astype(np.int32)
    if smooth and (~crease & (cosine < 1.0 - 1e-9)).any():
        if surfaces is not None:
            group = _surface_corners(faces, surfaces // 4, len(vertices))
        else:
            group = _joined_corners(faces, start, end, first, second, ~crease)
        shade = _average(normals, areas, group)
    else:
        shade = np.repeat(normals, 3, axis=0)
    return Drawable(
        corners=corners.reshape(-1, 3).astype(np.float32),
        normals=shade.astype(np.float32),
        points=(vertices - centre).astype(np.float32),
        edges=edges,
        low=low - centre,
        centre=centre,
    )


def _adjacency(faces: npt.NDArray[np.int64], count: int) -> tuple[npt.NDArray[Any], ...]:
    """Return, for every pair of neighbours: the edge's ends, the two triangles; and the open edges (B, 2)."""
    n = len(faces)
    a = faces.T.ravel()
    b = faces[:, [1, 2, 0]].T.ravel()
    key = np.minimum(a, b) * count + np.maximum(a, b)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    at = order[:-1][same]
    first, second = at % n, order[1:][same] % n
    alone = np.ones(len(key), dtype=bool)
    alone[1:] &= ~same
    alone[:-1] &= ~same
    lonely = order[alone]
    return a[at], b[at], first, second, np.stack([a[lonely], b[lonely]], axis=1)


def _repair(
    normals: npt.NDArray[np.float64],
    flat: npt.NDArray[np.bool_],
    vertices: npt.NDArray[np.float64],
    start: npt.NDArray[Any],
    end: npt.NDArray[Any],
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
) -> None:
    """Give triangles without area the normal of their neighbour over the longest side, so that no false edge shows."""
    length = np.linalg.norm(vertices[start] - vertices[end], axis=1)
    for i in np.argsort(length):  # the longest is written last
        f, s = first[i], second[i]
        if flat[f] and not flat[s]:
            normals[f] = normals[s]
        elif flat[s] and not flat[f]:
            normals[s] = normals[f]


def _joined_corners(
    faces: npt.NDArray[np.int64],
    start: npt.NDArray[Any],
    end: npt.NDArray[Any],
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    joined: npt.NDArray[np.bool_],
) -> npt.NDArray[Any]:
    """Return a group number for each corner (3F,): corners that smooth edges join are in one group."""
    f, s = first[joined], second[joined]
    left: list[npt.NDArray[Any]] = []
    right: list[npt.NDArray[Any]] = []
    for vertex in (start[joined], end[joined]):
        left.append(3 * f + np.argmax(faces[f] == vertex[:, None], axis=1))
        right.append(3 * s + np.argmax(faces[s] == vertex[:, None], axis=1))
    i, j = np.concatenate(left), np.concatenate(right)
    n = 3 * len(faces)
    graph = coo_matrix((np.ones(len(i), dtype=np.int8), (i, j)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1])


def _surface_corners(faces: npt.NDArray[np.int64], surfaces: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Return a group number for each corner (3F,): corners at one vertex on one surface are in one group."""
    key = np.repeat(surfaces.astype(np.int64), 3) * count + faces.ravel()
    if (int(surfaces.max()) + 1) * count <= 20 * faces.size:
        return key
    return np.asarray(np.unique(key, return_inverse=True)[1])


def _average(
    normals: npt.NDArray[np.float64], areas: npt.NDArray[np.float64], group: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return corner normals (3F, 3), averaged by area over each group of corners."""
    weighted = np.repeat(areas, 3, axis=0)
    total = np.stack([np.bincount(group, weighted[:, k]) for k in range(3)], axis=1)
    norm = np.sqrt(np.einsum("ij,ij->i", total, total))
    known = norm > 0
    total[known] /= norm[known, None]
    # Where all triangles of a group are without area, each keeps the normal that it was given.
    return np.where(known[group, None], total[group], np.repeat(normals, 3, axis=0))


def _cross(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``numpy.cross`` for (N, 3), without its overhead."""
    out = np.empty_like(a)
    out[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    out[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    out[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return out
