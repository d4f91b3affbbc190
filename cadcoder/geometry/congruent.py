"""The rotation that lays a part on itself, found by its corners: exact, however thin the part is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadcoder.geometry.posed import Posed
from cadcoder.geometry.solid import FloatArray

#: Volumes, moments and corners of one part agree to this, in radii of gyration.
CLOSE = 2e-5
#: Pairs of corners to try at most.
MOST = 2000


def congruence(a: Posed, b: Posed) -> FloatArray | None:
    """Return the proper rotation (3, 3) that maps the corners of ``a`` onto those of ``b``, or None if there is none.

    Two corners of ``a`` that few others resemble are matched with pairs of ``b`` at the same distances from the centre
    and from each other; a match counts if it takes every corner to a corner.
    """
    if abs(a.volume - b.volume) > CLOSE * a.volume or np.abs(a.moments - b.moments).max() > CLOSE:
        return None
    from scipy.spatial import cKDTree

    p, q = a.solid.vertices, b.solid.vertices
    if len(p) != len(q):
        return None
    far_p, far_q = np.linalg.norm(p, axis=1), np.linalg.norm(q, axis=1)
    tolerance = CLOSE * float(far_p.max())
    alike = _alike(far_p, far_p, tolerance)
    order = np.lexsort((-far_p, alike))  # rarest first, of those the furthest
    order = order[far_p[order] > 0.1 * far_p.max()]
    first = int(order[0])
    span = np.linalg.norm(np.cross(p[order], p[first]), axis=1)
    others = order[span > 0.1 * far_p[first] * far_p[order]]
    if len(others) == 0:
        return None
    second = int(others[0])
    heads = np.flatnonzero(np.abs(far_q - far_p[first]) < tolerance)
    tails = np.flatnonzero(np.abs(far_q - far_p[second]) < tolerance)
    slack = tolerance * (far_p[first] + far_p[second])
    i, j = np.nonzero(np.abs(q[heads] @ q[tails].T - p[first] @ p[second]) < slack)
    tree = cKDTree(q)
    probe = p[:: max(1, len(p) // 32)]
    frame = _frame(p[first], p[second])
    for head, tail in zip(heads[i[:MOST]], tails[j[:MOST]], strict=True):
        rotation = _frame(q[head], q[tail]).T @ frame
        for points in (probe, p):
            if tree.query(points @ rotation.T)[0].max() > 5 * tolerance:
                break
        else:
            return rotation
    return None


def _alike(values: FloatArray, among: FloatArray, tolerance: float) -> NDArray[np.intp]:
    """Return how many of ``among`` lie within ``tolerance`` of each value."""
    line = np.sort(among)
    return np.asarray(np.searchsorted(line, values + tolerance) - np.searchsorted(line, values - tolerance))


def _frame(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the rotation (3, 3) whose rows are x, their cross product, and what is left of y."""
    x = x / np.linalg.norm(x)
    z = np.cross(x, y)
    z /= np.linalg.norm(z)
    return np.array([x, z, np.cross(x, z)])
