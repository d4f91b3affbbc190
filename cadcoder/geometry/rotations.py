"""Sets of proper rotations to try when two solids are laid over each other."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from cadcoder.geometry.solid import FloatArray, Solid

#: Faces whose normals differ by less than about this (as rounded components) count as one direction.
_ROUND = 2e-3


@cache
def cube_rotations() -> FloatArray:
    """Return the 24 rotations that map the axes onto each other, (24, 3, 3); the first is the identity."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            m = np.zeros((3, 3))
            m[range(3), order] = signs
            if np.linalg.det(m) > 0:
                found.append(m)
    return np.array(found)


@cache
def half_turns() -> FloatArray:
    """Return the four rotations that keep each axis on itself, (4, 3, 3): the identity and three half turns."""
    return np.array([np.diag(s) for s in ((1.0, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))])


def about(axis: int, angles: FloatArray) -> FloatArray:
    """Return rotations by ``angles`` (N,), in radians, about a coordinate axis, (N, 3, 3)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m = np.zeros((len(angles), 3, 3))
    m[:, axis, axis] = 1.0
    m[:, i, i] = m[:, j, j] = np.cos(angles)
    m[:, j, i] = np.sin(angles)
    m[:, i, j] = -m[:, j, i]
    return m


def from_vectors(vectors: FloatArray) -> FloatArray:
    """Return the rotations (N, 3, 3) by rotation vectors (N, 3), by Rodrigues' formula."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vectors).as_matrix())


@cache
def spread(count: int) -> FloatArray:
    """Return ``count`` rotations (count, 3, 3) spread evenly over all, by super-Fibonacci spirals.

    Source: Alexa, "Super-Fibonacci Spirals: Fast, Low-Discrepancy Sampling of SO(3)", CVPR 2022.
    """
    from scipy.spatial.transform import Rotation

    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    s = np.arange(count) + 0.5
    r, big = np.sqrt(s / count), np.sqrt(1.0 - s / count)
    alpha, beta = 2 * np.pi * s / phi, 2 * np.pi * s / psi
    q = np.stack([r * np.sin(alpha), r * np.cos(alpha), big * np.sin(beta), big * np.cos(beta)], axis=1)
    return np.asarray(Rotation.from_quat(q).as_matrix())


def flat_directions(solid: Solid, most: int = 8) -> FloatArray:
    """Return the normals (N, 3) of the largest flat directions of a solid's surface, largest area first.

    A direction with less than 1 % of the surface is left out, so that a cylinder's facets are.
    """
    a, b, c = solid.vertices[solid.faces.T]
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    keep = areas > 1e-9 * areas.max()
    normals, areas = normals[keep] / areas[keep, None], areas[keep]
    _, group = np.unique(np.round(normals / _ROUND).astype(np.int64), axis=0, return_inverse=True)
    group = group.reshape(-1)
    total = np.bincount(group, weights=areas)
    means = np.stack([np.bincount(group, weights=areas * normals[:, k]) for k in range(3)], axis=1)
    order = np.argsort(-total, kind="stable")[:most]
    order = order[total[order] > 0.01 * areas.sum()]
    return np.asarray(means[order] / np.linalg.norm(means[order], axis=1, keepdims=True))


def between_flats(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the rotations (N, 3, 3) that lay two flat directions of one solid on two of the other.

    Args:
        a: (N, 3) directions of the first solid, as :func:`flat_directions` gives them.
        b: (M, 3) directions of the second.
    """
    pair = next(((i, j) for i, j in itertools.combinations(range(len(a)), 2) if abs(a[i] @ a[j]) < 0.95), None)
    if pair is None:
        return np.zeros((0, 3, 3))
    frame = _frame(a[pair[0]], a[pair[1]])
    angle = a[pair[0]] @ a[pair[1]]
    both = np.concatenate([b, -b])
    found = []
    for i, j in itertools.permutations(range(len(both)), 2):
        if abs(both[i] @ both[j] - angle) < 0.02:
            found.append(_frame(both[i], both[j]).T @ frame)
    return np.array(found).reshape(-1, 3, 3)


def _frame(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the rotation (3, 3) whose rows are x, what is left of y, and their cross product."""
    z = np.cross(x, y)
    z /= np.linalg.norm(z)
    return np.array([x, np.cross(z, x), z])


def distinct(rotations: FloatArray, angle: float = 1e-4) -> FloatArray:
    """Return the rotations without those within about ``angle`` radians of an earlier one."""
    kept: list[FloatArray] = []
    for r in rotations:
        if not kept or np.einsum("nij,ij->n", np.array(kept), r).max() < 3.0 - angle * angle:
            kept.append(r)
    return np.array(kept)
