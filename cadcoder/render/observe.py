"""What is seen in a picture of a part, taken out once so that many candidates can be compared with it.

The picture's content is brought to a small common canvas; its silhouette, its inner edges (drawn lines, or steps
of brightness where no lines are drawn) and its shading are kept. Line width and brightness do not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy import ndimage

from cadcoder.errors import InputError
from cadcoder.render.camera import GENCAD, Camera
from cadcoder.render.segment import foreground

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

#: Default canvas (width, height) in pixels.
CANVAS = (160, 120)
#: Content is worked on at this many pixels at most (longest side), before it goes to the canvas.
WORKING_SIDE = 480
#: Side of the GenCAD renders as they are published; below which grey (of 255) a pixel is a line, and a black one.
SHARP_SIDE, LINE_GREY, BLACK_GREY = 448, 50, 20
#: Edges nearer to the silhouette's border than this (pixels of the canvas) count the less, on it not at all.
RIM = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """A picture on the common canvas of (height, width) = (h, w).

    Attributes:
        camera: the view that candidates are drawn from.
        mask: (h, w) the part's silhouette.
        cover: (h, w) float32, how much of each pixel the silhouette covers.
        grey: (h, w) float32 in [0, 255], lines taken out.
        points: (N, 2) rows and columns of edges.
        weights: (N,) how much each counts: 0 on the silhouette, 1 from ``RIM`` pixels inside.
        distance: (h, w) float32, distance in pixels to the nearest inner edge; infinite if there is none.
        edges: whether the inner edges are drawn ``lines`` or ``steps`` of brightness.
        seams: whether drawn lines include tangent edges and seams, as boundary representations are drawn.
        light: ``camera`` (a light at the camera, the brightness of the GenCAD look up to a factor), ``free``
            (any light from afar) or ``none`` (a line drawing: nothing is shaded).
        exact: whether the canvas is the picture itself, pixel by pixel, with lines one pixel wide.
        sharp: the same picture, exact, where it is as the GenCAD renders are published: what a fit ends on.
    """

    camera: Camera
    mask: Mask
    cover: Floats
    grey: Floats
    points: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]
    distance: Floats
    edges: Literal["lines", "steps"]
    seams: bool
    light: Literal["camera", "free", "none"]
    exact: bool = False
    sharp: Observation | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the canvas."""
        return self.mask.shape[1], self.mask.shape[0]


def observe(
    picture: Any, camera: Camera = GENCAD, *, size: tuple[int, int] = CANVAS, framed: bool | None = None
) -> Observation:
    """Take out of a picture what candidates are compared with.

    Args:
        picture: (H, W, 3) or (H, W) uint8, or a PIL image; one part on a background that is plain or varies slowly.
        camera: the view it is seen from.
        size: (width, height) of the common canvas.
        framed: whether the picture is in the exact frame and light of the GenCAD renders, so that where the part
            lies in it counts too; None finds out.

    Raises:
        InputError: if nothing stands out from the background.
    """
    image = _array(picture)
    mask = foreground(image)
    if not mask.any():
        raise InputError("nothing stands out from the background of the picture; show one part on a plain background")
    if framed is None:
        framed = looks_framed(image, mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    width, height = size
    sharp = _sharp(image, camera) if framed else None
    if framed:
        side = image.shape[0]
        box = (0.0, side / 8, float(side), side * 7 / 8)
        camera = replace(camera, tight=False, aspect=4 / 3)
    else:
        # The outline's middle, not its outer border, is where the part's extreme vertices are.
        box = (columns[0] + 0.5, rows[0] + 0.5, columns[-1] + 0.5, rows[-1] + 0.5)
        camera = replace(camera, tight=True, aspect=None, shift=(0.0, 0.0))
    scale = min(1.0, WORKING_SIDE / max(box[2] - box[0], box[3] - box[1], 1.0))
    if scale < 1.0:
        image, mask = _shrink(image, scale), _shrink(mask.astype(np.uint8) * 255, scale) > 127
        box = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)

    outline = _drawing(mask)
    drawing = outline is not None
    mask = mask if outline is None else outline
    lines, smooth = _lines(grey, mask, max(box[2] - box[0], box[3] - box[1]))
    inner = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    steps = not drawing and (lines & (inner > 4)).sum() < 0.02 * np.sqrt(mask.sum()) * 2
    marks = _steps(smooth, mask) if steps else _thin(lines)

    free = 1.0 if framed else 1.0 - 2.0 * camera.margin
    factor = free * min(width / max(box[2] - box[0], 1.0), height / max(box[3] - box[1], 1.0))
    to = (width / 2 - factor * (box[0] + box[2]) / 2, height / 2 - factor * (box[1] + box[3]) / 2)
    cover = _place(mask.astype(np.float32), factor, to, size, 0.0)
    small = cover > 0.5
    weight = _place((mask & ~ndimage.binary_dilation(lines)).astype(np.float32), factor, to, size, 0.0)
    shade = _place(np.where(mask & ~ndimage.binary_dilation(lines), smooth, 0.0), factor, to, size, 0.0)
    places = np.argwhere(marks)[:, ::-1] + 0.5
    points = np.floor(places * factor + np.array(to))[:, ::-1].astype(np.intp)
    points = np.unique(points, axis=0).reshape(-1, 2)
    points = points[(points >= 0).all(axis=1) & (points < (height, width)).all(axis=1)]
    return Observation(
        camera=camera,
        mask=small,
        cover=cover,
        grey=np.where(weight > 0.2, shade / np.maximum(weight, 1e-6), np.nan).astype(np.float32),
        points=points,
        weights=depth_weights(small, points),
        distance=distances(points, (height, width)),
        edges="steps" if steps else "lines",
        seams=framed or (not steps and is_render(image, mask)),
        light="none" if drawing else "camera" if framed else "free",
        sharp=sharp,
    )


def _sharp(image: npt.NDArray[np.uint8], camera: Camera) -> Observation | None:
    """Return a framed picture (S, S, 3) pixel by pixel; None where its size or its lines are not those of the renders.

    A fit on the small canvas finds which part it is; a plate one unit thick or two units looks the same there.
    """
    side = image.shape[0]
    if side != SHARP_SIDE:
        return None
    grey = image[side // 8 : side - side // 8, :, 0]
    lines, black = grey < LINE_GREY, grey < BLACK_GREY
    if not lines.any() or black.sum() < 0.9 * lines.sum():
        return None  # scaled, or compressed
    mask = grey < 250
    points = np.argwhere(lines)
    return Observation(
        camera=replace(camera, tight=False, aspect=4 / 3),
        mask=mask,
        cover=mask.astype(np.float32),
        grey=np.where(mask & ~lines, grey, np.nan).astype(np.float32),
        points=points,
        weights=depth_weights(mask, points),
        distance=distances(points, mask.shape),
        edges="lines",
        seams=True,
        light="camera",
        exact=True,
    )


def looks_framed(image: npt.NDArray[np.uint8], mask: Mask) -> bool:
    """Whether a picture is in the frame of the GenCAD renders: square, nearly grey on white, within the 4:3 window.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) the part.
    """
    side = image.shape[0]
    if image.shape[1] != side or np.ptp(image, axis=2).max() > 8 or np.median(image[~mask]) < 254:
        return False
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    slack = 2.0 / side
    margin_x, margin_y = GENCAD.margin - slack, 1 / 8 + 0.75 * GENCAD.margin - slack
    inside_x = columns[0] / side >= margin_x and 1 - columns[-1] / side >= margin_x
    inside_y = rows[0] / side >= margin_y and 1 - rows[-1] / side >= margin_y
    if not (inside_x and inside_y):
        return False
    # Faces are much the most often seen under the isometric angle.
    faces = image[..., 0][mask & (image[..., 0] > 40)]
    return bool(len(faces) and np.mean((faces > 90) & (faces < 165)) > 0.9)


def is_render(image: npt.NDArray[np.uint8], mask: Mask) -> bool:
    """Whether a picture was drawn by a program, not taken or drawn by hand: grey on white without any grain.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) the part.
    """
    outside = image[~ndimage.binary_dilation(mask, iterations=3)]
    return bool(len(outside) and outside.min() >= 253 and np.ptp(image, axis=2).max() <= 8)


def distances(points: npt.NDArray[np.intp], shape: tuple[int, int]) -> Floats:
    """Return the distance of every pixel to the nearest of the points; infinite where there are none."""
    if len(points) == 0:
        return np.full(shape, np.inf, dtype=np.float32)
    empty = np.ones(shape, dtype=bool)
    empty[points[:, 0], points[:, 1]] = False
    return np.asarray(ndimage.distance_transform_edt(empty), dtype=np.float32)


def depth_weights(mask: Mask, points: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return how much each edge point (N, 2) counts: 0 on the border of the mask, 1 from ``RIM`` pixels inside."""
    if len(points) == 0:
        return np.zeros(0)
    # Only how deep the points are, and no deeper than RIM, is asked: a tenth of the time of a distance transform.
    reach = math.ceil(RIM) - 1
    width = mask.shape[1] + 2 * reach
    flat = np.pad(mask, reach).ravel()
    centres = (points[:, 0] + reach) * width + points[:, 1] + reach
    depth = np.zeros(len(points))
    for r in range(reach + 1):
        square = np.arange(-r, r + 1)
        depth += flat[centres[:, None] + (square[:, None] * width + square).ravel()].all(axis=1)
    return np.clip((depth - 1.5) / (RIM - 1.5), 0.0, 1.0)


def _array(picture: Any) -> npt.NDArray[np.uint8]:
    image = np.asarray(picture.convert("RGB") if isinstance(picture, Pillow.Image) else picture)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] < 3 or min(image.shape[:2]) < 16:
        raise InputError(f"a picture must be at least 16 pixels wide and high, in grey or RGB, not {image.shape}")
    return np.ascontiguousarray(image[..., :3], dtype=np.uint8)


def _shrink(image: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.uint8]:
    h, w = image.shape[:2]
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BOX))


def _place(
    values: npt.NDArray[Any], factor: float, to: tuple[float, float], size: tuple[int, int], fill: float
) -> npt.NDArray[np.float32]:
    """Return values (H, W) on the canvas, averaged over each pixel: canvas = factor * picture + to."""
    h, w = values.shape
    pad = int(np.ceil(max(to[0], to[1], 0.0, size[0] - to[0] - w * factor, size[1] - to[1] - h * factor) / factor)) + 2
    padded = Pillow.fromarray(np.pad(values.astype(np.float32), pad, constant_values=fill))
    left, top = pad - to[0] / factor, pad - to[1] / factor
    box = (left, top, left + size[0] / factor, top + size[1] / factor)
    return np.asarray(padded.resize(size, Pillow.Resampling.BOX, box=box), dtype=np.float32)


def _drawing(mask: Mask) -> Mask | None:
    """Return the silhouette of a line drawing, small gaps in its outline closed; None if faces stand out, not lines."""
    reach = max(2, round(max(mask.shape) * 0.008))
    thick = ndimage.binary_opening(mask, structure=np.ones((2 * reach + 1, 2 * reach + 1)))
    if thick.sum() > 0.15 * mask.sum():
        return None
    padded = np.pad(mask, 2 * reach)
    closed = ndimage.binary_closing(padded, structure=np.ones((3, 3)), iterations=reach)
    filled = ndimage.binary_fill_holes(closed)[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    if mask.sum() > 0.4 * filled.sum():
        return None
    return np.asarray(ndimage.binary_opening(filled, iterations=reach) | mask)


def _lines(grey: Floats, mask: Mask, extent: float) -> tuple[Mask, Floats]:
    """Return the thin dark lines within the silhouette, and the grey picture without them."""
    width = max(5, int(round(0.012 * extent)) | 1)
    inside = np.where(mask, grey, 0.0)  # a dark surround, so that narrow faces do not close to the background
    closed = ndimage.grey_closing(inside, size=(width, width))
    spread = float(np.percentile(grey[mask], 95) - np.percentile(grey[mask], 2))
    lines = mask & (closed - grey > max(18.0, 0.25 * spread))
    return lines, np.where(mask, closed, grey).astype(np.float32)


def _steps(smooth: Floats, mask: Mask) -> Mask:
    """Return ridges of the brightness gradient within the silhouette, one or two pixels wide."""
    soft = ndimage.gaussian_filter(smooth, 1.0)
    gx, gy = ndimage.sobel(soft, axis=1) / 8, ndimage.sobel(soft, axis=0) / 8
    strength = np.where(ndimage.binary_erosion(mask, iterations=2), np.hypot(gx, gy), 0.0)
    noise = float(np.median(strength[mask]))
    strong = strength > max(3.0, 4.0 * noise)
    return np.asarray(strong & (strength >= 0.98 * ndimage.maximum_filter(strength, 3)))


def _thin(lines: Mask) -> Mask:
    """Return the middle of lines of any width."""
    depth = ndimage.distance_transform_edt(lines)
    return np.asarray(lines & (depth >= ndimage.maximum_filter(depth, 3)))
