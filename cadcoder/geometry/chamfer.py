"""Chamfer distances in the two conventions of the field, and what they need: unit boxes and points on surfaces."""

from __future__ import annotations

import numpy as np

from cadcoder.geometry.solid import FloatArray, Solid

#: DeepCAD stores a part with its furthest coordinate here, and brings a cloud that reaches beyond ``FAR`` back to 1.
FRAME, FAR = 0.75, 2.0
DEEPCAD_POINTS, CADRILLE_POINTS = 2000, 8192


def cd_deepcad(made: Solid, truth: Solid, points: int = DEEPCAD_POINTS, seed: int = 0) -> float:
    """Return the Chamfer distance in DeepCAD's convention, >= 0.

    mean_p min_q |p - q|^2 + mean_q min_p |p - q|^2 over ``points`` random points on each surface (Wu et al., ICCV 2021,
    section 5.1, whose tables give the median times 1000). DeepCAD's parts are stored about the origin with their
    furthest coordinate at 0.75: both parts are scaled by what brings the true one there, and neither is moved. A cloud
    that reaches beyond 2 is divided by its furthest coordinate, as in the published code.
    """
    scale = FRAME / max(float(np.abs(truth.bounds).max()), 1e-300)
    a, b = (sample_surface(s, points, seed + i) * scale for i, s in enumerate((made, truth)))
    furthest = float(np.abs(a).max())
    return _chamfer(a / furthest if furthest > FAR else a, b)


def cd_cadrille(made: Solid, truth: Solid, points: int = CADRILLE_POINTS, seed: int = 0) -> float:
    """Return the Chamfer distance in CAD-Recode's and cadrille's convention, >= 0.

    mean_p min_q |p - q|^2 + mean_q min_p |p - q|^2 over ``points`` random points on each surface, each part in a unit
    box of its own: centred, longest side one (Rukhovich et al., 2024, section 5.1; Kolodiazhnyi et al., 2025; their
    tables give the mean and the median times 1000).
    """
    return _chamfer(sample_surface(unit_box(made), points, seed), sample_surface(unit_box(truth), points, seed + 1))


def _chamfer(a: FloatArray, b: FloatArray) -> float:
    from scipy.spatial import cKDTree

    to_b, _ = cKDTree(b).query(a)
    to_a, _ = cKDTree(a).query(b)
    return float(np.mean(np.square(to_b)) + np.mean(np.square(to_a)))


def unit_box(solid: Solid) -> Solid:
    """Return the solid with its box centred on the origin and the longest side one."""
    low, high = solid.bounds
    scale = 1.0 / float((high - low).max())
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -0.5 * scale * (low + high)
    return solid.transformed(matrix)


def sample_surface(solid: Solid, points: int, seed: int) -> FloatArray:
    """Return ``points`` positions (points, 3) on the surface, uniform by area, the same for the same seed."""
    rng = np.random.default_rng(seed)
    face = np.searchsorted(np.cumsum(solid.face_areas), rng.random(points) * solid.area, side="right")
    a, b, c = solid.vertices[solid.faces[np.minimum(face, len(solid.faces) - 1)].transpose()]
    u, v = rng.random((2, points, 1))
    u = np.sqrt(u)
    return np.asarray((1 - u) * a + u * (1 - v) * b + u * v * c)
