"""Pictures as the vision tower takes them, made on the device."""

from __future__ import annotations

import torch

from cadcoder.model.build import PIXEL_MEAN, PIXEL_STD


def pixel_values(images: torch.Tensor) -> torch.Tensor:
    """Return normalised pictures, three equal channels: uint8 (B, S, S) to float32 (B, 3, S, S)."""
    grey = (images.float() / 255 - PIXEL_MEAN) / PIXEL_STD
    return grey[:, None].expand(-1, 3, -1, -1)
