"""Measures of how alike two solids are; each says its formula and where it comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from cadcoder.geometry import overlap
from cadcoder.geometry.align import align, mirror_fits_better
from cadcoder.geometry.best import best_of_four
from cadcoder.geometry.chamfer import cd_cadrille, cd_deepcad, unit_box
from cadcoder.geometry.solid import Solid

__all__ = [
    "Metrics",
    "cd_cadrille",
    "cd_deepcad",
    "compare",
    "iou_aligned",
    "iou_best",
    "iou_box",
    "iou_raw",
    "size_error",
    "unit_box",
]


def iou_raw(a: Solid, b: Solid) -> float:
    """Return |A and B| / |A or B| as the two are given: position, scale and rotation all count. In [0, 1].

    Raises:
        Unsound: if the volumes contradict each other.
    """
    if (a.bounds[1] <= b.bounds[0]).any() or (b.bounds[1] <= a.bounds[0]).any():
        return 0.0
    return overlap.iou(a.manifold, b.manifold, a.volume, b.volume)


def iou_box(a: Solid, b: Solid) -> float:
    """Return the IoU with both boxes centred and their longest sides made one, without rotation. In [0, 1].

    The convention of CAD-Recode (Rukhovich et al., 2024, section 5.1) and cadrille (Kolodiazhnyi et al., 2025).
    """
    return iou_raw(unit_box(a), unit_box(b))


def iou_best(a: Solid, b: Solid) -> float:
    """Return the best IoU over four proper rotations of the principal axes: IoU_best of CAD-Coder's paper. In [0, 1].

    max over R in {1, half turns about the three principal axes} of |RA and B| / |RA or B|, with centroids together and
    radii of gyration sqrt(tr(M) / V) equal (Doris et al., "CAD-Coder", 2025, Appendix A). Arbitrary where moments of
    inertia are equal: see :func:`~cadcoder.geometry.best.best_of_four` and :func:`iou_aligned`.
    """
    return best_of_four(a, b)


def iou_aligned(a: Solid, b: Solid) -> float:
    """Return the best IoU over translation, uniform scale and proper rotation, see :mod:`~cadcoder.geometry.align`.

    As :func:`iou_best`, but over all rotations that equal or nearly equal moments leave open: 1 for the same part in
    any pose, below 1 for the mirror image of a chiral part. In [0, 1], symmetric.
    """
    return align(a, b).iou


def size_error(a: Solid, b: Solid) -> float:
    """Return the largest relative difference of the sorted box lengths: max_i |a_i - b_i| / b_i, 0 where they agree."""
    mine, theirs = np.sort(a.extents), np.sort(b.extents)
    return float(np.max(np.abs(mine - theirs) / np.maximum(theirs, 1e-300)))


@dataclass(frozen=True, slots=True)
class Metrics:
    """All measures of one pair: the ``metrics`` of a row of ``cadcoder score``.

    Attributes:
        iou_best: see :func:`iou_best`.
        iou_aligned: see :func:`iou_aligned`; never below ``iou_best``.
        iou_raw: see :func:`iou_raw`.
        iou_box: see :func:`iou_box`.
        cd_deepcad: see :func:`~cadcoder.geometry.chamfer.cd_deepcad`.
        cd_cadrille: see :func:`~cadcoder.geometry.chamfer.cd_cadrille`.
        size_error: see :func:`size_error`.
        mirrored: whether the mirror image fits better: a chiral part made the wrong way round.
    """

    iou_best: float
    iou_aligned: float
    iou_raw: float
    iou_box: float
    cd_deepcad: float
    cd_cadrille: float
    size_error: float
    mirrored: bool

    def as_dict(self) -> dict[str, float | bool]:
        """Return the measures by name."""
        return asdict(self)


def compare(made: Solid, truth: Solid) -> Metrics:
    """Measure a solid against the true one.

    Raises:
        InputError: if either is not closed or encloses no volume.
        Unsound: if the volumes contradict each other.
    """
    best = iou_best(made, truth)
    aligned = max(best, iou_aligned(made, truth))
    return Metrics(
        iou_best=best,
        iou_aligned=aligned,
        iou_raw=iou_raw(made, truth),
        iou_box=iou_box(made, truth),
        cd_deepcad=cd_deepcad(made, truth),
        cd_cadrille=cd_cadrille(made, truth),
        size_error=size_error(made, truth),
        mirrored=mirror_fits_better(made, truth, aligned),
    )
