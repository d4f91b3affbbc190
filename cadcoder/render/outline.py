"""The visible lines of a part as vectors: feature edges and the outlines of curved faces, hidden parts cut off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cadcoder.render.camera import View
from cadcoder.render.look import Look
from cadcoder.render.mesh import Drawable
from cadcoder.render.window import window

Array = npt.NDArray[np.float64]

_BARE = Look(edge=None)

#: Lines are cut into pieces of at most this many pixels.
PIECE = 4.0


def visible_lines(part: Drawable, view: View) -> Array:
    """Return what a draughtsman would draw of a part.

    Args:
        part: from :func:`cadcoder.render.mesh.drawable`.
        view: a fitted camera.

    Returns:
        (N, 2, 2): short pieces as two pixel positions (column, row), row 0 on top.
    """
    ends = [part.points[part.edges].astype(np.float64)]
    ends.append(_outlines(part, view))
    lines = np.concatenate(ends)
    flat = view.project(lines.reshape(-1, 3)).reshape(-1, 2, 2)
    count = np.maximum(1, np.ceil(np.linalg.norm(flat[:, 1] - flat[:, 0], axis=1) / PIECE)).astype(int)
    owner = np.repeat(np.arange(len(lines)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    pieces = np.empty((len(owner), 2, 3))
    for k in (0, 1):
        t = ((step + k) / count[owner])[:, None]
        pieces[:, k] = lines[owner, 0] * (1 - t) + lines[owner, 1] * t
    middle = pieces.mean(axis=1)
    place = view.project(middle)
    distance = view.distance - (middle - view.target) @ view.back
    depth = window(view.size).draw_deep(part, view, _BARE)[1]
    width, height = view.size
    column = np.clip(place[:, 0].astype(int), 1, width - 2)
    row = np.clip(place[:, 1].astype(int), 1, height - 2)
    # An edge belongs to faces that fall away from it: what lies behind the farthest of the nine pixels around,
    # by more than a face can slope in two pixels, is hidden.
    around = np.stack([depth[row + i, column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    slack = 3.0 * view.unit
    seen = distance <= around.max(axis=0) + slack
    return np.asarray(view.project(pieces.reshape(-1, 3)).reshape(-1, 2, 2)[seen])


def _outlines(part: Drawable, view: View) -> Array:
    """Return the mesh edges (N, 2, 3) between a triangle that faces the eye and one that does not, on curved faces."""
    corners = part.corners.reshape(-1, 3, 3).astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if view.field_of_view is None:
        front = normal @ view.back > 0
    else:
        eye = view.target + view.distance * view.back
        front = np.einsum("ij,ij->i", normal, eye - corners[:, 0]) > 0
    # Neighbours share two points bit for bit; each edge of a front triangle whose twin looks away is on the outline.
    _, ids = np.unique(part.corners, axis=0, return_inverse=True)
    faces = ids.reshape(-1, 3)
    a, b = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    key = np.minimum(a, b) * (int(faces.max()) + 1) + np.maximum(a, b)
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    i, j = order[:-1][same], order[1:][same]
    turn = front[i // 3] != front[j // 3]
    edge = i[turn]
    return np.stack([corners[edge // 3, edge % 3], corners[edge // 3, (edge % 3 + 1) % 3]], axis=1)
