"""Where the eye stands, and how a part is fitted to the window."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """A view of a part, fitted to the picture.

    Attributes:
        direction: from the part towards the eye; need not be unit.
        up: what is up in the picture; where it is parallel to ``direction``, y (or x) is taken.
        field_of_view: full vertical angle in degrees for perspective; None is orthographic.
        margin: free part of the window on each side, as a fraction of its width and height.
        roll: turn of the camera about its axis in degrees, counter-clockwise (the part turns clockwise).
        aspect: width by height of the window, the largest such that fits in the picture centred; None is the
            whole picture.
        tight: fit the drawn vertices, not the corners of the axis-aligned box.
        shift: displacement of the part in the picture, in fractions of its width and height, right and up.
        centred: whether what is fitted lies in the middle of the picture in perspective too; otherwise it may lie to
            one side along the picture's direction in which there is room.
    """

    direction: Vector = (1.0, -1.0, 1.0)
    up: Vector = (0.0, 0.0, 1.0)
    field_of_view: float | None = None
    margin: float = 0.055
    roll: float = 0.0
    aspect: float | None = None
    tight: bool = False
    shift: tuple[float, float] = (0.0, 0.0)
    centred: bool = False

    def axes(self) -> tuple[Array, Array, Array]:
        """Return unit (right, up, towards the eye) in the part's coordinates."""
        d = np.asarray(self.direction, dtype=np.float64)
        d = d / np.linalg.norm(d)
        for up in (self.up, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)):
            right = np.cross(np.asarray(up, dtype=np.float64), d)
            length = float(np.linalg.norm(right))
            if length > 1e-6:
                break
        right = right / length
        upward = np.cross(d, right)
        if self.roll:
            c, s = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
            right, upward = c * right + s * upward, c * upward - s * right
        return right, upward, d

    def view(self, low: Array, points: npt.NDArray[np.floating], size: tuple[int, int]) -> View:
        """Fit the part to a picture.

        Args:
            low: corner (3,) of the box centred on the origin.
            points: (N, 3) what is drawn; only read where ``tight``.
            size: (width, height) of the picture in pixels.
        """
        width, height = size
        right, up, back = self.axes()
        box = np.array(list(itertools.product(*((v, -v) for v in low))))
        around = points.astype(np.float64) if self.tight else box
        x, y, z = around @ right, around @ up, around @ back
        window_w, window_h = float(width), float(height)
        if self.aspect is not None:
            window_w, window_h = min(width, height * self.aspect), min(height, width / self.aspect)
        free = 1.0 - 2.0 * self.margin
        half_w, half_h = window_w * free / 2, window_h * free / 2
        radius = max(float(np.linalg.norm(low)), 1e-12)
        if self.field_of_view is None:
            centre = np.array([(x.max() + x.min()) / 2, (y.max() + y.min()) / 2])
            unit = max(float(np.ptp(x)) / 2 / half_w, float(np.ptp(y)) / 2 / half_h, 1e-12 * radius)
            distance = 3.0 * radius
        else:
            centre, unit, distance = self._fit_perspective(x, y, z, half_w, half_h, height)
        middle = centre - np.array([self.shift[0] * width, self.shift[1] * height]) * unit
        target = middle[0] * right + middle[1] * up
        return View(
            target=target,
            right=right,
            up=up,
            back=back,
            distance=distance,
            unit=unit,
            near=max(distance - 1.05 * radius, 1e-3 * distance),
            far=distance + 1.05 * radius,
            field_of_view=self.field_of_view,
            size=size,
        )

    def _fit_perspective(
        self, x: Array, y: Array, z: Array, half_w: float, half_h: float, height: int
    ) -> tuple[Array, float, float]:
        """Return (centre (2,), length of a pixel at the origin's depth, distance of the eye from the origin)."""
        assert self.field_of_view is not None
        focal = height / 2 / math.tan(math.radians(self.field_of_view) / 2)
        # A point (x, y, z) falls on pixel focal * (x - cx) / (D - z): the two bounds are linear in (cx, D), so
        # each axis has a closed form, and the farther of the two distances fits both.
        distance = 0.0
        bounds = []
        for value, half in ((x, half_w), (y, half_h)):
            k = half / focal
            top, bottom = float((value + k * z).max()), float((value - k * z).min())
            distance = max(distance, (top - bottom) / (2 * k))
            bounds.append((value, k))
        distance = max(distance, float(z.max()) * 1.02 + 1e-9)
        centre = []
        for value, k in bounds:
            top, bottom = float((value + k * z).max()), float((value - k * z).min())
            centre.append(_middle(value, distance - z, (top + bottom) / 2) if self.centred else (top + bottom) / 2)
        return np.array(centre), distance / focal, distance


def _middle(values: Array, depths: Array, centre: float) -> float:
    """Return the c for which the largest and the smallest of (values - c) / depths are opposite.

    Given which points those are, c follows; a few rounds find the right ones.
    """
    for _ in range(8):
        seen = (values - centre) / depths
        i, j = int(seen.argmax()), int(seen.argmin())
        found = float((values[i] * depths[j] + values[j] * depths[i]) / (depths[i] + depths[j]))
        if found == centre:
            break
        centre = found
    return centre


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera fitted to one part, in the part's centred coordinates.

    Attributes:
        target: (3,) the point in the middle of the picture.
        right, up, back: unit axes of the picture; ``back`` goes towards the eye.
        distance: from the target to the eye.
        unit: length of one pixel at the target's depth.
        near, far: clipping distances from the eye.
        field_of_view: degrees, or None for orthographic.
        size: (width, height) in pixels.
    """

    target: Array
    right: Array
    up: Array
    back: Array
    distance: float
    unit: float
    near: float
    far: float
    field_of_view: float | None
    size: tuple[int, int]

    def project(self, points: Array) -> Array:
        """Return pixel positions (N, 2) of points (N, 3): column and row, pixel centres at halves, row 0 on top."""
        p = np.asarray(points, dtype=np.float64) - self.target
        x, y = p @ self.right, p @ self.up
        if self.field_of_view is not None:
            shrink = self.distance / (self.distance - p @ self.back)
            x, y = x * shrink, y * shrink
        return np.stack([self.size[0] / 2 + x / self.unit, self.size[1] / 2 - y / self.unit], axis=1)


#: The camera of the GenCAD renders.
GENCAD = Camera(direction=(1.0, -1.0, 1.0), margin=0.0556, aspect=4 / 3)

#: Named views; corners are named by the signs of x, y and z.
CAMERAS: dict[str, Camera] = {
    "gencad": GENCAD,
    **{
        f"corner{'+' if x > 0 else '-'}{'+' if y > 0 else '-'}{'+' if z > 0 else '-'}": replace(
            GENCAD, direction=(float(x), float(y), float(z))
        )
        for x, y, z in itertools.product((1, -1), repeat=3)
    },
    "front": Camera(direction=(0.0, -1.0, 0.0)),
    "back": Camera(direction=(0.0, 1.0, 0.0)),
    "left": Camera(direction=(-1.0, 0.0, 0.0)),
    "right": Camera(direction=(1.0, 0.0, 0.0)),
    "top": Camera(direction=(0.0, 0.0, 1.0)),
    "bottom": Camera(direction=(0.0, 0.0, -1.0)),
}


def random_camera(rng: np.random.Generator, *, perspective: bool = True) -> Camera:
    """Return a view from a random direction of the sphere, mostly from above as people hold a camera."""
    z = float(rng.uniform(-0.35, 0.95))
    angle = float(rng.uniform(0, 2 * math.pi))
    r = math.sqrt(1 - z * z)
    fov = float(rng.uniform(15, 60)) if perspective else None
    margin = float(rng.uniform(0.03, 0.2))
    return Camera(
        direction=(r * math.cos(angle), r * math.sin(angle), z),
        field_of_view=fov,
        margin=margin,
        roll=float(rng.normal(0, 4)) if perspective else 0.0,
        tight=True,
        shift=(float(rng.uniform(-0.5, 0.5)) * margin, float(rng.uniform(-0.5, 0.5)) * margin),
    )
