"""Augmentation by family: what a training picture may go through before it is framed.

A picture's family is the first of its row's ``views`` (or ``family``), ``gencad`` where it says nothing. The draws are
seeded by the run's seed, the pass and the sample, so that a resumed run, and any number of workers, makes the same
pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Rng = np.random.Generator


def _shift(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Move by up to ``most`` of the width and height; what comes in is white."""
    dx, dy = (float(v) for v in rng.uniform(-most, most, 2))
    move = (1, 0, dx * image.width, 0, 1, dy * image.height)
    return image.transform(image.size, Image.Transform.AFFINE, move, fillcolor=(255, 255, 255))


def _scale(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Make smaller or larger about the middle by up to ``most``; what comes in is white."""
    s = 1 / float(rng.uniform(1 - most, 1 + most))
    w, h = image.size
    move = (s, 0, (1 - s) * w / 2, 0, s, (1 - s) * h / 2)
    return image.transform(image.size, Image.Transform.AFFINE, move, Image.Resampling.BILINEAR, fillcolor=(255,) * 3)


def _brightness(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(1 - most, 1 + most)))


def _contrast(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(float(rng.uniform(1 - most, 1 + most)))


def _blur(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Blur with a radius of up to ``most`` pixels."""
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, most))))


def _noise(image: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Add Gaussian noise with a standard deviation of up to ``most`` of 255."""
    pixels = np.asarray(image, np.float32)
    pixels = pixels + rng.normal(0, 1, pixels.shape).astype(np.float32) * float(rng.uniform(0, most))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


#: Operations in the order in which they are done; each takes how far it may go.
OPERATIONS: dict[str, Callable[[Image.Image, Rng, float], Image.Image]] = {
    "shift": _shift,
    "scale": _scale,
    "brightness": _brightness,
    "contrast": _contrast,
    "blur": _blur,
    "noise": _noise,
}


def augmented(image: Image.Image, family: str, wanted: Mapping[str, Any] | None, rng: Rng) -> Image.Image:
    """Return an RGB picture after the operations of its family (or of the family ``any``)."""
    what = (wanted or {}).get(family, (wanted or {}).get("any"))
    if not what:
        return image
    for name, operation in OPERATIONS.items():
        if what.get(name):
            image = operation(image, rng, float(what[name]))
    return image
