"""Measures of how alike two solids are; each says its formula and where it comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from cadcoder.geometry.align import align, align_principal
from cadcoder.geometry.solid import FloatArray, Solid


def iou_raw(a: Solid, b: Solid) -> float:
    """Return |A and B| / |A or B| as the two are given: position, scale and rotation all count. In [0, 1]."""
    return a.iou(b)


def iou_box(a: Solid, b: Solid) -> float:
    """Return the IoU with both boxes centred and their longest sides made one, without rotation. In [0, 1].

    The convention of CAD-Recode (Rukhovich et al., 2024, section 5.1) and cadrille (Kolodiazhnyi et al., 2025).
    """
    return unit_box(a).iou(unit_box(b))


def iou_best(a: Solid, b: Solid) -> float:
    """Return the best IoU over translation, uniform scale and proper rotation, see :mod:`~cadcoder.geometry.align`.

    Centroids together, radii of gyration equal, then the best rotation; 1 for the same part in any pose, below 1
    for the mirror image of a chiral part. In [0, 1], symmetric.
    """
    return align(a, b).iou


def iou_paper(a: Solid, b: Solid) -> float:
    """Return the best IoU over the four proper rotations of the principal axes, and no others. In [0, 1].

    IoU_best as CAD-Coder's paper defines it (Doris et al., 2025, Appendix A), computed right; arbitrary where
    moments of inertia are equal.
    """
    return align_principal(a, b)


def chamfer(a: Solid, b: Solid, points: int = 2000, seed: int = 0) -> float:
    """Return the symmetric Chamfer distance: mean squared distance to the other cloud, summed over both ways.

    ``points`` area-weighted samples of each surface after :func:`unit_box`. The sum of both mean squared nearest
    distances on 2000 points is DeepCAD's (Wu et al., ICCV 2021, section 5.1; its published code multiplies the
    median by 1000 in the tables); the box is cadrille's, DeepCAD's parts being stored in such a box already.
    """
    from scipy.spatial import cKDTree

    pa = sample_surface(unit_box(a), points, np.random.default_rng(seed))
    pb = sample_surface(unit_box(b), points, np.random.default_rng(seed + 1))
    to_b, _ = cKDTree(pb).query(pa)
    to_a, _ = cKDTree(pa).query(pb)
    return float(np.mean(np.square(to_b)) + np.mean(np.square(to_a)))


def size_error(a: Solid, b: Solid) -> float:
    """Return the largest relative difference of the sorted box lengths of ``a`` from those of ``b``."""
    mine, theirs = np.sort(a.extents), np.sort(b.extents)
    return float(np.max(np.abs(mine - theirs) / np.maximum(theirs, 1e-300)))


def unit_box(solid: Solid) -> Solid:
    """Return the solid with its box centred on the origin and the longest side one."""
    low, high = solid.bounds
    scale = 1.0 / float((high - low).max())
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -0.5 * scale * (low + high)
    return solid.transformed(matrix)


def sample_surface(solid: Solid, points: int, rng: np.random.Generator) -> FloatArray:
    """Return ``points`` positions (points, 3) on the surface, uniform by area."""
    face = np.searchsorted(np.cumsum(solid.face_areas), rng.random(points) * solid.area, side="right")
    a, b, c = solid.vertices[solid.faces[np.minimum(face, len(solid.faces) - 1)].transpose()]
    u, v = rng.random((2, points, 1))
    u = np.sqrt(u)
    return np.asarray((1 - u) * a + u * (1 - v) * b + u * v * c)


@dataclass(frozen=True, slots=True)
class Metrics:
    """All measures of one pair: the ``metrics`` of a row of ``cadcoder score``."""

    iou_best: float
    iou_paper: float
    iou_raw: float
    iou_box: float
    chamfer: float
    size_error: float

    def as_dict(self) -> dict[str, float]:
        """Return the measures by name."""
        return asdict(self)


def compare(made: Solid, truth: Solid) -> Metrics:
    """Measure a solid against the true one.

    Raises:
        InputError: if either is not closed or encloses no volume.
    """
    return Metrics(
        iou_best=iou_best(made, truth),
        iou_paper=iou_paper(made, truth),
        iou_raw=iou_raw(made, truth),
        iou_box=iou_box(made, truth),
        chamfer=chamfer(made, truth),
        size_error=size_error(made, truth),
    )
