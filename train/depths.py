"""Depth as a target of vision pre-training: a small grid over the square that the model sees.

Format of a grid (size / 4, size / 4) int8: ``UNKNOWN`` where the set tells no depth, ``NOTHING`` where the picture
shows no part, else how far in front of the middle of the part's box what is seen lies, as a fraction of the square's
side times ``SCALE``.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cadcoder.model.framing import Placement

UNKNOWN, NOTHING = -128, -127
#: The grid's levels for a depth of one side of the square; a part reaches at most 0.6 from its middle.
SCALE = 200.0
#: Pixels of the square for one cell.
CELL = 4
#: The format of the sets' depth pictures: pixels of the drawing for one of theirs, for one level, and the middle level.
COARSE, STEP, MIDDLE = 4, 2.0, 128


def depth_grid(picture: bytes | None, place: Placement, size: int) -> np.ndarray[Any, Any]:
    """Return the grid of one sample.

    Args:
        picture: its depth picture as PNG (``dataset_build.depth`` says how), None where the set has none.
        place: where the drawing lies in the square.
        size: side of the square in pixels.
    """
    from PIL import Image

    cells = size // CELL
    if picture is None:
        return np.full((cells, cells), UNKNOWN, np.int8)
    levels = np.asarray(Image.open(io.BytesIO(picture)), np.uint8)
    near = np.where(levels > 0, (levels.astype(np.float32) - MIDDLE) * STEP, np.nan)
    centres = (np.arange(cells) + 0.5) * CELL
    columns, rows = place.source(centres[None, :], centres[:, None])
    inside = (columns >= place.box[0]) & (columns < place.box[2]) & (rows >= place.box[1]) & (rows < place.box[3])
    height, width = near.shape
    row = np.clip(np.floor(rows / COARSE).astype(int), 0, height - 1)
    column = np.clip(np.floor(columns / COARSE).astype(int), 0, width - 1)
    depth = np.where(inside, near[row, column], np.nan) * place.scale / size
    return np.where(np.isnan(depth), NOTHING, np.clip(np.round(depth * SCALE), -126, 127)).astype(np.int8)
