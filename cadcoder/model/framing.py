"""Framing: a picture becomes the square that the model sees.

The scale of a part does not show in a picture, only proportions do; so the part is cut out and made to fill the
square, and a thumbnail in a corner of a large canvas reads like a close view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from cadcoder.errors import InputError

#: A pixel belongs to the part where it differs from the border by more than this (of 255).
TOLERANCE = 12
#: The border counts as uniform where at least this share of its pixels is within the tolerance.
UNIFORM = 0.97


@dataclass(frozen=True, slots=True)
class Framing:
    """How pictures are framed for a checkpoint.

    Attributes:
        crop: cut to the content box against a uniform border; False pads the whole picture (LLaVA's square pad).
        margin: free space on each side of the longest side, as a share of the square.
        grey: drop the colours (three equal channels).
    """

    crop: bool = True
    margin: float = 0.04
    grey: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 0.4:
            raise InputError(f"the framing margin must be from 0 to 0.4, not {self.margin}")


#: What a checkpoint without a word on framing gets: LLaVA's square padding, colours kept.
SQUARE = Framing(crop=False, margin=0.0, grey=False)


def border_colour(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Return the border's colour (uint8, (3,)) where it is uniform, else None.

    Args:
        pixels: uint8 (height, width, 3).
    """
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    colour = np.median(edge, axis=0)
    near = (np.abs(edge - colour) <= TOLERANCE).all(axis=1)
    return colour.astype(np.uint8) if near.mean() >= UNIFORM else None


def content_box(image: Image.Image, background: np.ndarray[Any, Any]) -> tuple[int, int, int, int] | None:
    """Return (left, top, right, bottom) of what differs from the background, or None where nothing does.

    Args:
        image: an RGB picture.
        background: its border's colour.
    """
    red, green, blue = (int(c) for c in background)
    bands = ImageChops.difference(image, Image.new("RGB", image.size, (red, green, blue))).split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return most.point([0] * (TOLERANCE + 1) + [255] * (255 - TOLERANCE)).getbbox()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the square that the model sees.

    Attributes:
        box: (left, top, right, bottom) of what is cut out of the picture, in its pixels.
        fitted: (width, height) in the square, in the square's pixels.
        corner: (left, top) in the square.
        scale: pixels of the square for one of the picture.
    """

    box: tuple[int, int, int, int]
    fitted: tuple[int, int]
    corner: tuple[int, int]
    scale: float

    def source(self, columns: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        """Return the places in the picture of places in the square, both in pixels, columns and rows."""
        return (
            (columns - self.corner[0]) / self.fitted[0] * (self.box[2] - self.box[0]) + self.box[0],
            (rows - self.corner[1]) / self.fitted[1] * (self.box[3] - self.box[1]) + self.box[1],
        )


def placement(image: Image.Image, size: int, how: Framing, background: np.ndarray[Any, Any] | None) -> Placement:
    """Return where :func:`frame` puts a picture whose border has a uniform colour, or (None) has not."""
    box = content_box(image, background) if background is not None and how.crop else None
    box = box or (0, 0, *image.size)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = max(1, round(size * (1 - 2 * how.margin))) / max(width, height)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Placement(box, fitted, ((size - fitted[0]) // 2, (size - fitted[1]) // 2), scale)


def frame(image: Image.Image, size: int, framing: Framing | None = None) -> Image.Image:
    """Return the picture as an RGB square of ``size`` pixels.

    A picture with a uniform border is cut to its content box and set in the middle on the border's colour; any
    other is taken whole and padded with its mean colour, as LLaVA 1.5 does (Liu et al., arXiv 2310.03744).

    Args:
        image: any PIL picture; transparency must be flattened before.
        size: side of the result in pixels.
        framing: how; None takes :class:`Framing`'s defaults.

    Raises:
        InputError: if the picture or the size is empty.
    """
    return frame_placed(image, size, framing)[0]


def frame_placed(image: Image.Image, size: int, framing: Framing | None = None) -> tuple[Image.Image, Placement]:
    """Return what :func:`frame` does, and where in it the picture lies."""
    how = framing or Framing()
    if size < 1 or min(image.size) < 1:
        raise InputError(f"a picture of {image.size[0]}x{image.size[1]} cannot be framed to {size} pixels")
    image = image.convert("RGB")
    pixels = np.asarray(image)
    background = border_colour(pixels)
    place = placement(image, size, how, background)
    image = image.crop(place.box)
    colour = background if background is not None else pixels.reshape(-1, 3).mean(axis=0)
    fill = tuple(int(round(float(c))) for c in colour)
    # A box average keeps thin dark edges at their true grey; enlarging asks for a smooth filter.
    filter_ = Image.Resampling.BOX if place.scale <= 0.5 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (size, size), fill)
    square.paste(image.resize(place.fitted, filter_), place.corner)
    return (square.convert("L").convert("RGB") if how.grey else square), place
