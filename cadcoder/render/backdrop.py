"""What surrounds a part in a picture taken by hand: backgrounds, and what a camera does to a picture."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy import ndimage

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Size = tuple[int, int]


def smooth_noise(size: Size, cells: float, rng: np.random.Generator) -> Floats:
    """Return noise (H, W) of mean 0 and deviation about 1 that varies over ``1 / cells`` of the picture.

    Args:
        size: (width, height).
        cells: blobs along the longer side.
        rng: source of randomness.
    """
    width, height = size
    longest = max(size)
    coarse = (max(2, round(cells * height / longest)) + 2, max(2, round(cells * width / longest)) + 2)
    values = rng.standard_normal(coarse).astype(np.float32)
    grown = Pillow.fromarray(values).resize(size, Pillow.Resampling.BICUBIC)
    return np.asarray(grown, dtype=np.float32)


def soft(picture: Floats, sigma: float) -> Floats:
    """Return a picture (H, W) or (H, W, C) blurred by a Gaussian; a wide one is worked out on fewer pixels."""
    k = int(sigma // 2)
    if picture.ndim == 3:
        return np.stack([soft(picture[..., c], sigma) for c in range(picture.shape[2])], axis=-1)
    if k < 2:
        return np.asarray(ndimage.gaussian_filter(picture, sigma, truncate=2.5), dtype=np.float32)
    small = np.asarray(Pillow.fromarray(picture).reduce(k), dtype=np.float32)
    small = ndimage.gaussian_filter(small, sigma / k, truncate=2.5)
    # What is left over at the far borders belongs to smaller blocks: the grid is as large as whole ones would be.
    box = (0, 0, picture.shape[1] / k, picture.shape[0] / k)
    grown = Pillow.fromarray(small).resize(picture.shape[::-1], Pillow.Resampling.BILINEAR, box=box)
    return np.asarray(grown, dtype=np.float32)


def gradient(size: Size, first: Floats, second: Floats, angle: float) -> Floats:
    """Return (H, W, 3) from one colour to another along a direction in radians."""
    width, height = size
    x = np.float32(np.cos(angle)) * np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.float32(np.sin(angle)) * np.linspace(-0.5, 0.5, height, dtype=np.float32)
    along = y[:, None] + x[None, :]
    t = ((along - along.min()) / max(float(np.ptp(along)), 1e-6))[..., None]
    return np.asarray(first + (second - first) * t, dtype=np.float32)


def background(size: Size, rng: np.random.Generator) -> Floats:
    """Return a random background (H, W, 3) in [0, 1]: plain, a gradient, or a texture such as cloth, wood or stone."""
    kind = rng.choice(["plain", "gradient", "texture", "grain"], p=[0.3, 0.3, 0.25, 0.15])
    base = _muted_colour(rng)
    width, height = size
    picture = np.broadcast_to(base, (height, width, 3)).astype(np.float32).copy()
    if kind == "gradient":
        other = np.clip(base + rng.uniform(-0.25, 0.25), 0, 1).astype(np.float32)
        picture = gradient(size, base, other, float(rng.uniform(0, 2 * np.pi)))
    elif kind == "texture":
        for cells in (3, 9, 30, 90):
            picture += (rng.uniform(0, 0.05) * smooth_noise(size, cells, rng))[..., None]
    elif kind == "grain":
        # Long streaks: noise stretched along one axis, as in wood or brushed metal.
        stretched = smooth_noise((size[0], max(8, size[1] // 40)), 60, rng)
        streaks = np.asarray(Pillow.fromarray(stretched).resize(size, Pillow.Resampling.BILINEAR), dtype=np.float32)
        streaks = streaks if rng.random() < 0.5 or width != height else streaks.T
        picture += (rng.uniform(0.01, 0.06) * streaks)[..., None]
    return np.clip(picture, 0, 1)


def _muted_colour(rng: np.random.Generator) -> Floats:
    """A table, a sheet of paper, a wall: any brightness, seldom a strong colour."""
    grey = float(rng.uniform(0.15, 1.0)) if rng.random() < 0.6 else float(rng.uniform(0.85, 1.0))
    tint = rng.normal(0, 0.04 if rng.random() < 0.8 else 0.12, 3)
    return np.asarray(np.clip(grey + tint - tint.mean(), 0, 1), dtype=np.float32)


def camera_effects(picture: Floats, rng: np.random.Generator) -> Image:
    """Return what a hand-held camera makes of a scene: exposure, vignette, blur, sensor noise, JPEG.

    Args:
        picture: (H, W, 3) in [0, 1].
        rng: source of randomness.

    Returns:
        (H, W, 3) uint8.
    """
    return _opened(camera_file(picture, rng))


def camera_file(picture: Floats, rng: np.random.Generator) -> bytes:
    """Return the same as :func:`camera_effects` as the camera stores it: a JPEG file."""
    height, width = picture.shape[:2]
    x, y = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in (width, height))
    away = (y[:, None] ** 2 + x[None, :] ** 2)[..., None]
    out = picture * (1 - float(rng.uniform(0, 0.5)) * away) * float(rng.uniform(0.85, 1.12))
    out = out * rng.normal(1.0, 0.02, 3).astype(np.float32)  # white balance
    sigma = max(0.6, float(rng.uniform(0.5, 1.5)) * max(width, height) / 448)
    out = ndimage.gaussian_filter(out, (sigma, sigma, 0), truncate=2.5)
    noise = float(rng.uniform(0, 0.03))
    # Shot noise grows with the root of the light.
    out = out + noise * np.sqrt(np.clip(out, 0.02, 1)) * rng.standard_normal((height, width, 1), dtype=np.float32)
    return jpeg_file(np.clip(out * 255 + 0.5, 0, 255).astype(np.uint8), int(rng.integers(45, 96)))


def jpeg(picture: Image, quality: int) -> Image:
    """Return the picture after JPEG compression."""
    return _opened(jpeg_file(picture, quality))


def jpeg_file(picture: Image, quality: int) -> bytes:
    """Return the picture (H, W, 3) uint8 as a JPEG file."""
    held = io.BytesIO()
    Pillow.fromarray(picture).save(held, "JPEG", quality=quality)
    return held.getvalue()


def _opened(data: bytes) -> Image:
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
