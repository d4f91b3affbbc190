"""Line drawings as a person makes them: visible edges and outlines, an unsteady hand, paper."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw

from cadcoder.render.backdrop import Floats, gradient, jpeg, smooth_noise
from cadcoder.render.camera import CAMERAS, Camera, random_camera
from cadcoder.render.mesh import SolidLike, drawable
from cadcoder.render.outline import visible_lines
from cadcoder.render.window import Image

#: Drawn at this many times the size, then reduced.
OVERSAMPLING = 2


def sketch(solid: SolidLike, rng: np.random.Generator, *, size: int = 448, camera: Camera | None = None) -> Image:
    """Draw a solid by hand. The same generator state gives the same bytes.

    Args:
        solid: vertices (V, 3) and faces (F, 3).
        rng: source of all randomness.
        size: side of the picture in pixels.
        camera: where from; None is an isometric corner or any view, without perspective.

    Returns:
        (size, size, 3) uint8.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    if camera is None:
        camera = CAMERAS["gencad"] if rng.random() < 0.5 else random_camera(rng, perspective=False)
    shape = (size, size)
    part = drawable(solid, seams=False)
    pieces = visible_lines(part, camera.view(part.low, part.points, shape))
    ink = np.zeros((size, size), dtype=np.float32)
    passes = 1 if rng.random() < 0.6 else 2
    width = float(rng.uniform(1.0, 3.2)) * size / 448
    for _ in range(passes):
        ink = np.maximum(ink, _stroke(_unsteady(pieces, size, rng), size, width, rng))
    # Graphite takes on the paper's tooth; a pen does not.
    tooth = float(rng.uniform(0, 0.35)) * (rng.random() < 0.6)
    ink = ink * np.clip(1 - tooth * np.abs(rng.standard_normal((size, size), dtype=np.float32)), 0, 1)
    ink = (ink * float(rng.uniform(0.65, 1.0)))[..., None]
    colour = np.clip(rng.uniform(0, 0.25) + rng.normal(0, 0.04, 3), 0, 1).astype(np.float32)
    picture = paper(shape, rng) * (1 - ink) + colour * ink
    return jpeg(np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8), int(rng.integers(60, 97)))


def paper(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return a sheet (H, W, 3) in [0, 1]: near white, unevenly lit, with a grain, now and then ruled in squares."""
    white = np.clip(rng.uniform(0.88, 1.0) + rng.normal(0, 0.015, 3), 0, 1).astype(np.float32)
    dark = (white * float(rng.uniform(0.82, 1.0))).astype(np.float32)
    sheet = gradient(size, white, dark, float(rng.uniform(0, 2 * np.pi)))
    sheet = sheet + (float(rng.uniform(0, 0.012)) * smooth_noise(size, 150, rng))[..., None]
    pitch, offset = int(rng.integers(14, 40)), int(rng.integers(0, 14))
    if rng.random() < 0.2:
        ruled = np.zeros(sheet.shape[:2], dtype=np.float32)
        ruled[offset::pitch] = ruled[:, offset::pitch] = 1
        sheet = sheet * (1 - ruled[..., None] * np.array([0.18, 0.12, 0.05], dtype=np.float32))
    return np.clip(sheet, 0, 1).astype(np.float32)


def _unsteady(pieces: npt.NDArray[np.float64], size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the pieces moved by a slow random field, so that lines wave but still meet."""
    reach = float(rng.uniform(0.3, 1.8)) * size / 448
    cells = float(rng.uniform(4, 12))
    field = np.stack([smooth_noise((size, size), cells, rng) for _ in range(2)], axis=-1)
    at = np.clip(pieces, 0, size - 1).astype(int)
    return np.asarray(pieces + reach * field[at[..., 1], at[..., 0]])


def _stroke(pieces: npt.NDArray[np.float64], size: int, width: float, rng: np.random.Generator) -> Floats:
    """Return ink (size, size) in [0, 1] of lines whose width varies slowly along them."""
    k = OVERSAMPLING
    sheet = Pillow.new("L", (size * k, size * k), 0)
    pen = ImageDraw.Draw(sheet)
    pressure = smooth_noise((size, size), 10, rng)
    middle = np.clip(pieces.mean(axis=1), 0, size - 1).astype(int)
    widths = np.maximum(1, np.rint(k * width * (1 + 0.2 * pressure[middle[:, 1], middle[:, 0]]))).astype(int)
    for ((x0, y0), (x1, y1)), w in zip((pieces * k).tolist(), widths.tolist(), strict=True):
        pen.line((x0, y0, x1, y1), fill=255, width=w)
        if w > 3:
            pen.ellipse((x1 - w / 2, y1 - w / 2, x1 + w / 2, y1 + w / 2), fill=255)
    return np.asarray(sheet.resize((size, size), Pillow.Resampling.BOX), dtype=np.float32) / np.float32(255)
