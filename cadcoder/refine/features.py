"""Features that a program lacks: where its drawing and the picture differ, something is cut or added.

Drawn where the picture shows background, something must go; background where the picture shows the part, something must
come; lines in the picture where none are drawn are the rim of a hole, a pocket or a boss. Each such patch is taken back
from the picture onto the visible sides of the part's box, and a rectangle or a circle there becomes an extrude.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cadcoder.geometry.build import build
from cadcoder.program.types import Circle, Extrude, Line, Loop, Operation, Plane, Profile, Program, Sketch
from cadcoder.refine.poses import Views
from cadcoder.render.camera import Camera, View
from cadcoder.render.compare import draw_part
from cadcoder.render.mesh import drawable

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

#: Patches of each kind that are looked at, and the pixels of the small canvas that one must have.
PATCHES, LEAST_PIXELS = 3, 5
#: A line of the picture this far (pixels) from every drawn one is unexplained.
UNEXPLAINED = 2.5
#: Depths and heights that are tried, as fractions of the part's extent; 1 goes through.
DEPTHS, HEIGHTS = (1.0, 0.5, 0.15), (0.1, 0.35)
#: How long a cut that goes through is, as a multiple of the part's extent.
THROUGH = 1.25
#: A side is visible if its normal and the direction to the eye have at least this cosine.
FACING = 0.15
#: Patches that end this near to the part's border (in pixels) may end on it.
SNAPS = (1.0, 3.0)
#: Cuts that end on the border end so far beyond it, that numbers with two decimals leave no skin; for a part of 100.
BEYOND = 0.5
#: Height by width of patches that may be circles.
ROUND = 0.6, 1.6
#: Narrower features are not proposed, for a part of 100.
SMALLEST = 0.5


def featured(program: Program, views: Views, cameras: Sequence[Camera]) -> list[Program]:
    """Return programs with one extrude more, as the differences to the first picture suggest.

    Args:
        program: how it is now.
        views: the pictures.
        cameras: where each is seen from.

    Raises:
        InputError: if the program builds nothing.
    """
    view = replace(views[0], camera=cameras[0])
    solid = build(program, np.pi / 24)
    part = drawable(solid, seams=view.seams)
    drawn = draw_part(part, view)
    low, high = (np.asarray(b, dtype=np.float64) for b in solid.bounds)
    box = _Box(low, high, view.camera.view(part.low, part.points, view.size))
    reach = ndimage.distance_transform_edt(~_marked(drawn.points, view.mask.shape))
    far = view.points[(view.weights > 0.5) & (reach[tuple(view.points.T)] > UNEXPLAINED)]
    extrudes: list[Extrude] = []
    for patch in _patches(drawn.mask & ~view.mask):
        extrudes += box.cuts(patch, DEPTHS[:2])
    for patch in _patches(view.mask & ~drawn.mask):
        extrudes += box.additions(patch)
    for patch in _patches(ndimage.binary_dilation(_marked(far, view.mask.shape), iterations=2)):
        extrudes += [*box.cuts(patch), *box.bosses(patch)]
    return [Program((*program.extrudes, extrude)) for extrude in extrudes]


def _marked(points: npt.NDArray[np.intp], shape: tuple[int, ...]) -> Mask:
    marked = np.zeros(shape, dtype=bool)
    marked[tuple(points.T)] = True
    return marked


def _patches(mask: Mask) -> list[Floats]:
    """Return the largest connected patches as pixel positions (N, 2): column, row."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = [int(i) for i in np.argsort(-sizes)[:PATCHES] if sizes[i] >= LEAST_PIXELS]
    return [(np.argwhere(labels == i + 1)[:, ::-1] + 0.5).astype(np.float64) for i in order]


@dataclass(frozen=True, slots=True)
class _Box:
    """The box of a part and the view of it.

    Attributes:
        low: (3,) its lower corner.
        high: (3,) its upper corner.
        view: of the part centred on the origin.
    """

    low: Floats
    high: Floats
    view: View

    def cuts(self, patch: Floats, depths: Sequence[float] = DEPTHS) -> list[Extrude]:
        """Return cuts into each visible side where the patch lies on it."""
        found = []
        for axis, sign in self._sides():
            plane, profiles = self._on(axis, sign, patch, BEYOND)
            for profile, depth in itertools.product(profiles, depths):
                # Through, and so far beyond that no skin is left when the plane is moved, which would not be seen.
                length = depth * (self.high - self.low)[axis] * (THROUGH if depth == 1.0 else 1.0)
                found.append(Extrude(Sketch((profile,), plane), 0.0, length, Operation.CUT))
        return found

    def bosses(self, patch: Floats) -> list[Extrude]:
        """Return what stands on each visible side where the patch lies on it."""
        found = []
        for axis, sign in self._sides():
            plane, profiles = self._on(axis, sign, patch)
            for profile, height in itertools.product(profiles, HEIGHTS):
                length = height * float((self.high - self.low).max())
                found.append(Extrude(Sketch((profile,), plane), length, 0.0, Operation.JOIN))
        return found

    def additions(self, patch: Floats) -> list[Extrude]:
        """Return what sticks out of each side, visible or not, so that it would be seen as the patch."""
        found = []
        for axis, sign in itertools.product(range(3), (1.0, -1.0)):
            normal = np.zeros(3)
            normal[axis] = sign
            along = self.view.project(np.stack([normal, np.zeros(3)]))
            step = along[0] - along[1]  # pixels for one unit outwards
            length = float(np.linalg.norm(step))
            if length < 1e-9:
                continue
            # Half of the patch is taken for the side of what sticks out, and half for its end.
            height = min(float(np.ptp(patch @ step)) / length**2, 2.0 * float((self.high - self.low).max()))
            for share in (1.0, 0.5) if height > 2 * SMALLEST else ():
                plane, profiles = self._on(axis, sign, patch - step * height * share)
                found += [Extrude(Sketch((p,), plane), height * share, 0.0, Operation.JOIN) for p in profiles]
        return found

    def _sides(self) -> list[tuple[int, float]]:
        """Return (axis, sign) of the sides that face the eye."""
        back = self.view.back
        return [(axis, float(np.sign(back[axis]))) for axis in range(3) if abs(back[axis]) > FACING]

    def _on(self, axis: int, sign: float, pixels: Floats, beyond: float = 0.0) -> tuple[Plane, list[Profile]]:
        """Return the plane of a side, and profiles on it where pixels (N, 2) would lie on it.

        What ends on the border of the side is made to end so much beyond it.
        """
        middle = (self.low + self.high) / 2
        i, j = _IN_PLANE[axis]
        level = float(self.high[axis] if sign > 0 else self.low[axis])
        base = np.zeros(3)
        base[axis] = level - middle[axis]
        corners = np.stack([base, base, base])
        corners[1, i] += 1.0
        corners[2, j] += 1.0
        origin, right, up = self.view.project(corners)
        # Without perspective this is exact, with some it is near enough for a start.
        matrix = np.stack([right - origin, up - origin], axis=1)
        at = np.linalg.lstsq(matrix, (pixels - origin).T, rcond=1e-6)[0].T + middle[[i, j]]
        x_dir, normal, at_origin = np.zeros(3), np.zeros(3), np.zeros(3)
        x_dir[i], normal[axis], at_origin[axis] = 1.0, 1.0, level
        if sign < 0:
            normal = -normal
        plane = Plane(_vector(at_origin), _vector(x_dir), _vector(normal))
        # The plane's y is its normal times its x: where that is against the axis, points are mirrored.
        flip = np.array([1.0, 1.0 if plane.axes()[1][j] > 0 else -1.0])
        limits = np.sort(np.stack([self.low[[i, j]], self.high[[i, j]]]) * flip, axis=0)
        profiles: dict[Profile, None] = {}
        for snap in SNAPS:
            profiles |= dict.fromkeys(_profiles(at * flip, limits[0], limits[1], snap * self.view.unit, beyond))
        return plane, list(profiles)


#: In-plane axes across each axis.
_IN_PLANE = ((1, 2), (0, 2), (0, 1))


def _vector(v: Floats) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])


def _profiles(at: Floats, least: Floats, most: Floats, near: float, beyond: float) -> list[Profile]:
    """Return a rectangle and a circle about points (N, 2); what ends near the limits (2,) ends on or beyond them."""
    low, high = np.percentile(at, 3, axis=0), np.percentile(at, 97, axis=0)
    low = np.where(np.abs(low - least) < near, least - beyond, low)
    high = np.where(np.abs(high - most) < near, most + beyond, high)
    if (high - low).min() < SMALLEST:
        return []
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    if not ROUND[0] < (y1 - y0) / (x1 - x0) < ROUND[1]:
        return [Profile(_rectangle(x0, y0, x1, y1))]
    circle = Loop((Circle(((x0 + x1) / 2, (y0 + y1) / 2), min(x1 - x0, y1 - y0) / 2),))
    return [Profile(_rectangle(x0, y0, x1, y1)), Profile(circle)]


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> Loop:
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return Loop(tuple(Line(a, b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)))
