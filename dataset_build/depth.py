"""Depth of a drawing as a small picture: what a vision tower can learn to tell beside the script.

A grey PNG of 112x112 pixels, one for each 4x4 of the drawing: 0 where nothing is, else 128 plus half of how far what
is seen lies in front of the middle of the part's box, in pixels of the 448x448 drawing (so no unit is needed).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Pixels of the drawing for one of the depth picture, and for one of its levels (cubes reach 244).
COARSE, STEP = 4, 2.0
#: The level of the middle of the part's box.
MIDDLE = 128


def encode(near: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the depth picture (H/4, W/4, 1) uint8 of depths (H, W) in pixels, minus infinity where nothing is."""
    sparse = near[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    levels = np.clip(np.round(sparse / STEP) + MIDDLE, 1, 255)
    return np.where(np.isfinite(sparse), levels, 0).astype(np.uint8)[:, :, None]


def decode(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return depths (h, w) in pixels of the drawing, NaN where nothing is, of a depth picture (h, w)."""
    return np.where(picture > 0, (picture.astype(np.float32) - MIDDLE) * STEP, np.nan).astype(np.float32)
