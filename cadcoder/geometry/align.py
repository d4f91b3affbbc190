"""The pose in which two solids overlap most, over translation, uniform scale and proper rotation.

Both solids are moved to their centroids, scaled to a radius of gyration of one and turned into their principal
axes; what is left is a rotation. Poses are ranked on coarse voxels (a few microseconds each) and only the best
few are measured exactly by manifold3d. CAD-Coder (Doris et al., 2025, Appendix A) introduced the measure; its
published evaluator tries the sign changes of one set of eigenvectors, some of which mirror the part, and is
arbitrary where moments of inertia are equal. Here only proper rotations are tried, and (nearly) equal moments are
searched about the free axis or over all rotations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cadcoder.geometry import overlap
from cadcoder.geometry import rotations as rot
from cadcoder.geometry.congruent import congruence
from cadcoder.geometry.posed import POINTS, Posed
from cadcoder.geometry.solid import FloatArray, Solid

#: Points of the first, coarsest ranking.
FEW = 1000
#: Poses this much worse on voxels than the best measured one are not measured exactly.
MARGIN = 0.025
#: Exact measurements at most, before refinement.
MOST = 8
#: Above this a pose is taken as the best there is.
ENOUGH = 0.9995
#: From here on two solids are taken for one part that is not yet quite in place.
SAME_PART = 0.99
#: Half the angle between the facets of a round part, a little enlarged, in radians.
FACET = 0.055
#: The mirror image must fit better by this much to be flagged.
CHIRAL = 0.005


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best pose found.

    Attributes:
        iou: intersection over union there, exact for the meshes.
        matrix: (4, 4) similarity that lays the first solid over the second.
        measured: poses measured exactly.
    """

    iou: float
    matrix: FloatArray
    measured: int


def align(a: Solid, b: Solid) -> Alignment:
    """Find the similarity with a proper rotation that lays ``a`` over ``b`` with the highest IoU.

    Tried: the rotation that takes every corner to a corner, if there is one; the 24 rotations of the principal axes and
    the 24 of the original axes (with the identity); and where moments are (nearly) equal in either solid the free angle
    (or all rotations), refined.

    Raises:
        InputError: if either encloses no volume or is not a closed mesh.
    """
    first, second = Posed(a), Posed(b)
    swapped = second.key() < first.key()  # one fixed order makes the measure symmetric to the last bit
    search = _Search(second, first) if swapped else _Search(first, second)
    rotation = search.run()
    if swapped:
        rotation = rotation.T
    turn = np.eye(4)
    turn[:3, :3] = rotation
    return Alignment(search.final(), np.linalg.inv(second.matrix) @ turn @ first.matrix, search.measured)


def mirror_fits_better(a: Solid, b: Solid, iou: float) -> bool:
    """Return whether the mirror image of ``a`` fits ``b`` better than ``a`` does: a chiral part made the wrong way.

    Args:
        a: the solid.
        b: the solid that it should be.
        iou: the IoU of the best pose of ``a`` itself.
    """
    if iou >= 1 - CHIRAL:
        return False
    return align(a.transformed(np.diag([-1.0, 1.0, 1.0])), b).iou > iou + CHIRAL


class _Search:
    """One search for the rotation of ``a`` (in its principal axes) over ``b`` (in its)."""

    def __init__(self, a: Posed, b: Posed) -> None:
        self.a, self.b = a, b
        self.best, self.rotation, self.measured = -1.0, np.eye(3), 0

    def exact(self, rotation: FloatArray) -> float:
        """Measure a rotation (3, 3) by manifold3d on the light meshes and remember it if it is the best."""
        (a, va), (b, vb) = self.a.light, self.b.light
        iou = overlap.estimated_iou(a.transform(np.concatenate([rotation, np.zeros((3, 1))], axis=1)), b, va, vb)
        self.measured += 1
        if iou > self.best:
            self.best, self.rotation = iou, rotation
        return iou

    def final(self) -> float:
        """Measure the best rotation on the full meshes."""
        turned = self.a.solid.manifold.transform(np.concatenate([self.rotation, np.zeros((3, 1))], axis=1))
        return overlap.iou(turned, self.b.solid.manifold, self.a.volume, self.b.volume)

    def coarse(self, rotations: FloatArray, points: int = POINTS) -> FloatArray:
        """Estimate the IoU of many rotations (N, 3, 3) on voxels, (N,)."""
        va, vb = self.a.volume, self.b.volume
        inside = self.b.grid.contains(self.a.points[:points] @ rotations.transpose(0, 2, 1)).mean(axis=1)
        shared = np.minimum(va * inside, min(va, vb))
        return np.asarray(shared / (va + vb - shared))

    def run(self) -> FloatArray:
        """Search, and return the best rotation (3, 3)."""
        same = congruence(self.a, self.b)
        if same is not None and self.exact(same) >= ENOUGH:
            return self.rotation
        free = sorted({*self.a.free_axes, *self.b.free_axes})
        cube = rot.cube_rotations()
        candidates = [cube, self.b.axes @ cube @ self.a.axes.T]
        if free:
            candidates.append(rot.between_flats(self.a.flats, self.b.flats))
        for axis in free:
            candidates.append(self._spins(axis))
        self._measure(np.concatenate(candidates))
        if not free or self.best >= ENOUGH:
            return self.rotation
        if len(free) == 3:
            self._measure(self._everywhere())
            if self.best < ENOUGH:
                self._polish()
        else:
            for axis in free:
                self._polish_spin(axis)
                if SAME_PART <= self.best < ENOUGH:  # near enough now to look for the crest
                    self._polish_spin(axis)
        return self.rotation

    def _measure(self, rotations: FloatArray, most: int = MOST) -> None:
        """Measure the most promising of the rotations exactly."""
        guess = self.coarse(rotations, FEW)
        order = np.argsort(-guess, kind="stable")
        order = order[guess[order] > guess[order[0]] - 0.08][:48]
        rotations = rot.distinct(rotations[order], angle=2e-3)
        guess = self.coarse(rotations)
        order = np.argsort(-guess, kind="stable")
        for rotation, value in zip(rotations[order[:most]], guess[order[:most]], strict=True):
            if self.best >= ENOUGH or value < self.best - MARGIN:
                break
            self.exact(rotation)

    def _spins(self, axis: int, bins: int = 256) -> FloatArray:
        """Return the best angles about one principal axis, upright and turned over, as rotations (N, 3, 3).

        Both solids are sampled in cylindrical coordinates about the axis; the overlap at every angle at once is
        a circular correlation, by FFT.
        """
        i, j = (axis + 1) % 3, (axis + 2) % 3
        both = np.concatenate([self.a.solid.vertices, self.b.solid.vertices])
        radius = np.sqrt((both[:, [i, j]] ** 2).sum(axis=1).max())
        height = np.abs(both[:, axis]).max()
        r = (np.arange(20) + 0.5) / 20 * radius
        z = ((np.arange(12) + 0.5) / 6 - 1.0) * height
        theta = np.arange(bins) * (2 * np.pi / bins)
        points = np.empty((len(r), len(z), bins, 3))
        points[..., axis] = z[None, :, None]
        points[..., i] = r[:, None, None] * np.cos(theta)
        points[..., j] = r[:, None, None] * np.sin(theta)
        a = self.a.grid.contains(points).astype(np.float32)
        b = np.fft.rfft(self.b.grid.contains(points) * r[:, None, None].astype(np.float32), axis=2)
        over = np.roll(a[:, ::-1, ::-1], 1, axis=2)  # half a turn about axis i: z and the angle change sign
        flip = rot.about(i, np.array([np.pi]))[0]
        found = []
        for image, base in ((a, np.eye(3)), (over, flip)):
            overlap = np.fft.irfft((np.conj(np.fft.rfft(image, axis=2)) * b).sum(axis=(0, 1)), n=bins)
            peak = (overlap >= np.roll(overlap, 1)) & (overlap >= np.roll(overlap, -1))
            order = np.argsort(-np.where(peak, overlap, -1.0), kind="stable")[:6]
            # The crest between the bins, from the parabola through three.
            before, here, after = overlap[order - 1], overlap[order], overlap[(order + 1) % bins]
            bend = before - 2 * here + after
            shift = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0.0)
            angles = (order + np.clip(shift, -0.5, 0.5)) * (2 * np.pi / bins)
            found.append(rot.about(axis, angles) @ base)
        return np.concatenate(found)

    def _polish_spin(self, axis: int, width: float = 0.03, steps: int = 9) -> None:
        """Refine the best rotation about one axis by golden section, over ``width`` radians to both sides.

        A round part nearly on itself has a crest for every facet, sharp ones: there the crests are scanned first.
        """
        start = self.rotation

        def value(angle: float) -> float:
            return self.exact(rot.about(axis, np.array([angle]))[0] @ start)

        golden = (np.sqrt(5.0) - 1) / 2
        low, high = -width, width
        if SAME_PART <= self.best < ENOUGH:
            scan = np.linspace(-FACET, FACET, 12)  # not at 0, which is measured
            peak = scan[int(np.argmax([value(float(angle)) for angle in scan]))]
            low, high, steps = peak - 2 * FACET / 11, peak + 2 * FACET / 11, max(steps, 13)
        left, right = high - golden * (high - low), low + golden * (high - low)
        at_left, at_right = value(left), value(right)
        for _ in range(steps):
            if self.best >= ENOUGH or high - low < 1e-5:
                break
            if at_left > at_right:
                high, right, at_right = right, left, at_left
                left = high - golden * (high - low)
                at_left = value(left)
            else:
                low, left, at_left = left, right, at_right
                right = low + golden * (high - low)
                at_right = value(right)

    def _everywhere(self) -> FloatArray:
        """Return promising rotations among all, found and refined on voxels, (N, 3, 3)."""
        rng = np.random.default_rng(0)
        found = rot.spread(720)
        best = np.argsort(-self.coarse(found, 400), kind="stable")[:16]
        found = found[best]
        for angle in (0.2, 0.1, 0.05, 0.025):
            tried = rot.from_vectors(rng.normal(size=(40, 3)) * (angle / np.sqrt(3.0)))
            tried[0] = np.eye(3)
            all_of = np.einsum("nij,mjk->mnik", tried, found)
            values = self.coarse(all_of.reshape(-1, 3, 3), 700).reshape(len(found), -1)
            found = all_of[np.arange(len(found)), values.argmax(axis=1)]
            keep = np.argsort(-values.max(axis=1), kind="stable")[: max(4, len(found) // 2)]
            found = found[keep]
        return found

    def _polish(self, rounds: int = 3) -> None:
        """Refine the best rotation on the exact measure, axis by axis with shrinking steps."""
        angle = 0.03
        for _ in range(rounds):
            for axis in range(3):
                self._polish_spin(axis, width=angle, steps=4)
            if self.best >= ENOUGH:
                return
            angle *= 0.4
