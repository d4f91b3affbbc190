"""Numbers that a part keeps wherever it lies and however large it is: parts with unlike numbers are unlike.

All lengths are in radii of gyration, all places from the centre of mass, so that neither pose nor scale counts. A
mirror image has the same numbers; only laying one part over the other tells the two apart.
"""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np
from numpy.typing import NDArray

from cadcoder.errors import InputError
from cadcoder.geometry.align import align
from cadcoder.geometry.solid import Solid

Floats = NDArray[np.float64]
Signature = NDArray[np.float32]

#: Points on the surface for the histograms.
POINTS = 1024
#: Where the histograms of distances are read off, in radii of gyration, and how soft their steps are.
FROM_CENTRE, BETWEEN, STEP = np.linspace(0.3, 1.9, 9), np.linspace(0.4, 3.0, 9), 0.12
#: How far two numbers may be apart in parts whose IoU is 0.99. The first is exact, as the IoU is at most the smaller
#: volume by the larger; the others are about twice the largest difference found among pairs of such an IoU, stretched
#: ones and others with small bosses, holes and grooves.
TOLERANCE = np.array(
    [
        0.0102,  # logarithm of the volume
        0.04,  # logarithm of the surface
        *[0.008, 0.015],  # smallest and largest second moment
        *[0.015, 0.025, 0.06, 0.03, 0.03],  # fourth moments
        *[0.02] * 4,  # third moments
        *[0.06] * (len(FROM_CENTRE) + len(BETWEEN)),  # histograms
    ]
)
LENGTH = len(TOLERANCE)
#: The first numbers are integrals over the solid, the same to many digits however it is cut into triangles; the
#: histograms come from seeded points, and move by up to half their tolerance.
EXACT = LENGTH - len(FROM_CENTRE) - len(BETWEEN)


def signature(solid: Solid) -> Signature:
    """Return the numbers of a part, (LENGTH,), each divided by its tolerance.

    So two parts can be alike only if no number differs by more than 1 (for an IoU of 0.99; see :func:`reach`).

    Raises:
        InputError: if the solid encloses no volume.
    """
    volume, gyration = solid.volume, solid.gyration
    corners = ((solid.vertices - solid.centroid) / gyration)[solid.faces]
    moments = np.linalg.eigvalsh(solid.second_moment) / (volume * gyration**2)
    if not volume > 0 or not np.isfinite(moments).all():
        raise InputError("the solid encloses no volume")
    numbers = np.array(
        [
            np.log(volume / gyration**3),
            np.log(solid.area / gyration**2),
            moments[0],
            moments[2],
            *_higher_moments(corners, volume / gyration**3),
            *_histograms(corners),
        ]
    )
    return np.asarray(numbers / TOLERANCE, dtype=np.float32)


def reach(alike: float) -> float:
    """Return how far apart numbers of :func:`signature` may be for parts of an IoU."""
    return float(np.log(alike) / np.log(0.99)) if alike < 0.99 else 1.0


def same_part(a: Solid, b: Solid, alike: float) -> float:
    """Return the IoU of two solids laid over each other by a proper rotation; 0 where it must be below ``alike``.

    The centres of mass are laid on each other and the radii of gyration are made equal
    (:mod:`cadcoder.geometry.align`); a mirror image counts as another part.
    """
    small, large = sorted(s.volume / s.gyration**3 for s in (a, b))
    if small < alike * large:
        return 0.0
    try:
        return float(align(a, b).iou)
    except InputError:
        return 0.0


def _higher_moments(corners: Floats, volume: float) -> Floats:
    """Return numbers of the third and fourth moments about the centre that no rotation changes, (9,).

    Of the fourth moments: the eigenvalues of M_ijkk and the roots of the norms of M and of M_ijkk. Of the third: the
    roots of the eigenvalues of T_ijk T_ljk and the norm of T_ijj. The integrals are sums over the tetrahedra between
    the faces (F, 3, 3) and the centre, by the rule of Grundmann and Moeller that is exact to the fifth degree
    ("Invariant integration formulas for the n-simplex by combinatorial methods", SIAM J. Numer. Anal. 15, 1978).
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    det = np.einsum("ij,ij->i", a, np.cross(b, c)) / (6 * volume)
    points = np.einsum("kj,fjd->fkd", _PLACES, corners).reshape(-1, 3)
    weights = (det[:, None] * _WEIGHTS).reshape(-1, 1)
    squares = (points[:, :, None] * points[:, None, :]).reshape(-1, 9)
    third = ((weights * points).T @ squares).reshape(3, 3, 3)
    fourth = ((weights * squares).T @ squares).reshape(3, 3, 3, 3)
    inner = np.einsum("ijkk->ij", fourth)
    own = np.linalg.eigvalsh(inner)
    lopsided = np.sqrt(np.clip(np.linalg.eigvalsh(np.einsum("ijk,ljk->il", third, third)), 0, None))
    sizes = (np.linalg.norm(fourth), np.linalg.norm(inner))
    return np.array([*own, *sizes, *lopsided, np.linalg.norm(np.einsum("ijj->i", third))])


def _rule() -> tuple[Floats, Floats]:
    """Return the rule's points (15, 3), as shares of the three corners that are not the origin, and weights (15,)."""
    places, weights = [], []
    s, n = 2, 3
    degree = 2 * s + 1
    for i in range(s + 1):
        weight = (
            (-1) ** i * 2.0 ** (-2 * s) * (degree + n - 2 * i) ** degree / (factorial(i) * factorial(degree + n - i))
        )
        for beta in product(range(s - i + 1), repeat=n + 1):
            if sum(beta) == s - i:
                places.append([(2 * b + 1) / (degree + n - 2 * i) for b in beta[1:]])
                weights.append(weight * factorial(n))
    return np.array(places), np.array(weights)


_PLACES, _WEIGHTS = _rule()


def _histograms(corners: Floats) -> Floats:
    """Return how many points of the surface are further from the centre, and from each other, than some distances."""
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    line = np.cumsum(areas)
    # Evenly along the area, so that many small triangles get as many points as one large one.
    face = np.searchsorted(line, (np.arange(POINTS) + 0.5) / POINTS * line[-1]).clip(max=len(areas) - 1)
    u, v = _PAIRS
    points = corners[face, 0] * (1 - u - v) + corners[face, 1] * u + corners[face, 2] * v
    centre = np.linalg.norm(points, axis=1)
    apart = np.linalg.norm(points - points[_PARTNERS], axis=1)
    return np.concatenate([_soft_share(centre, FROM_CENTRE), _soft_share(apart, BETWEEN)])


def _soft_share(values: Floats, steps: Floats) -> Floats:
    """Return the share of values beyond each step, where a value near a step counts in part."""
    return np.asarray(np.clip((values[:, None] - steps) / STEP * 0.5 + 0.5, 0, 1).mean(axis=0))


def _seeded() -> tuple[tuple[Floats, Floats], NDArray[np.intp]]:
    rng = np.random.default_rng(0)
    u, v = rng.uniform(size=(2, POINTS, 1))
    beyond = u + v > 1
    return (np.where(beyond, 1 - u, u), np.where(beyond, 1 - v, v)), rng.permutation(POINTS)


_PAIRS, _PARTNERS = _seeded()
