"""Framing (:mod:`cadcoder.model.framing`) of many grey pictures at once, in torch, and of their depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from cadcoder.model.framing import TOLERANCE, UNIFORM, Framing
from train.depths import CELL, NOTHING, SCALE


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where M pictures lie in their squares, as :class:`cadcoder.model.framing.Placement`; int64 but for the scale.

    Attributes:
        box: (M, 4) left, top, right, bottom in the picture.
        fitted: (M, 2) width and height in the square.
        corner: (M, 2) left and top in the square.
        scale: (M,) float.
    """

    box: torch.Tensor
    fitted: torch.Tensor
    corner: torch.Tensor
    scale: torch.Tensor


def frame(
    pictures: torch.Tensor, size: int, how: Framing, shift: torch.Tensor | None = None
) -> tuple[torch.Tensor, Places]:
    """Return grey pictures (M, H, W) uint8 as squares (M, size, size) uint8, and their places.

    Args:
        pictures: as they were drawn.
        size: side of the squares.
        how: the framing.
        shift: (M, 2) pixels by which the pictures are moved in their squares, right and down; None is not at all.
    """
    quick = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False  # ten bits would not do for greys of eight
    try:
        return _frame(pictures, size, how, shift)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = quick


def _frame(pictures: torch.Tensor, size: int, how: Framing, shift: torch.Tensor | None) -> tuple[torch.Tensor, Places]:
    count, height, width = pictures.shape
    device = pictures.device
    border = torch.cat([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], dim=1).float()
    # The middle one of an even number is a mean in numpy, cut off to a whole number.
    ordered = border.sort(dim=1).values
    half = border.shape[1] // 2
    colour = torch.floor((ordered[:, half - 1] + ordered[:, half]) / 2)
    uniform = ((border - colour[:, None]).abs() <= TOLERANCE).float().mean(1) >= UNIFORM
    content = (pictures.short() - colour.short()[:, None, None]).abs() > TOLERANCE
    box = torch.stack([*_ends(content.any(1)), *_ends(content.any(2))], dim=1)[:, [0, 2, 1, 3]]
    whole = torch.tensor([0, 0, width, height], device=device).expand_as(box)
    box = torch.where((uniform & content.flatten(1).any(1) & how.crop)[:, None], box, whole)

    sides = (box[:, 2:] - box[:, :2]).double()
    scale = max(1, round(size * (1 - 2 * how.margin))) / sides.amax(1)
    fitted = torch.round(sides * scale[:, None]).clamp(min=1).long()
    corner = (size - fitted) // 2
    if shift is not None:
        corner = corner + shift
    mean = pictures.float().mean((1, 2))
    fill = torch.round(torch.where(uniform, colour, mean))
    across = _weights(box[:, 0], box[:, 2], corner[:, 0], fitted[:, 0], scale, size, width)
    down = _weights(box[:, 1], box[:, 3], corner[:, 1], fitted[:, 1], scale, size, height)
    # Pillow resizes the width first, unless the height loses more than twice as many pixels, and rounds in between.
    lost = sides - fitted
    upright = (lost[:, 1] > 0) & (lost[:, 1] > 2 * lost[:, 0])
    squares = torch.empty((count, size, size), device=device)
    for first in (False, True):
        at = (upright == first).nonzero()[:, 0]
        grey, right = pictures[at].float(), across[at].transpose(1, 2)
        if first:
            squares[at] = (down[at] @ grey).clamp(0, 255).add(0.5).floor() @ right
        else:
            squares[at] = down[at] @ (grey @ right).clamp(0, 255).add(0.5).floor()
    squares = squares.clamp(0, 255).add(0.5).floor()
    inside = (down.sum(2) > 0.5)[:, :, None] & (across.sum(2) > 0.5)[:, None, :]
    squares = torch.where(inside, squares, fill[:, None, None])
    return squares.to(torch.uint8), Places(box, fitted, corner, scale.float())


def depth_grids(nearness: torch.Tensor, places: Places, size: int) -> torch.Tensor:
    """Return the depth grids (M, size / 4, size / 4) int8 of :mod:`train.depths`.

    Args:
        nearness: (M, H, W) of the pictures, in their pixels, minus infinity where nothing is.
        places: where they lie in the squares.
        size: side of the squares.
    """
    count, height, width = nearness.shape
    cells = (torch.arange(size // CELL, device=nearness.device) + 0.5) * CELL
    at = []
    inside = []
    for k, limit in ((0, width), (1, height)):
        low, high = places.box[:, k, None], places.box[:, k + 2, None]
        place = (cells[None] - places.corner[:, k, None]) / places.fitted[:, k, None] * (high - low) + low
        inside.append((place >= low) & (place < high))
        at.append(torch.floor(place).long().clamp(0, limit - 1))
    rows = torch.arange(count, device=nearness.device)[:, None, None]
    depth = nearness[rows, at[1][:, :, None], at[0][:, None, :]] * places.scale[:, None, None] / size
    seen = torch.isfinite(depth) & inside[1][:, :, None] & inside[0][:, None, :]
    levels = torch.round(torch.where(seen, depth, 0.0) * SCALE).clamp(-126, 127)
    return torch.where(seen, levels, float(NOTHING)).to(torch.int8)


def _ends(present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first true place (M,) of rows (M, N), and the one after the last."""
    flags = present.to(torch.uint8)
    return flags.argmax(1), present.shape[1] - flags.flip(1).argmax(1)


def _weights(
    low: torch.Tensor,
    high: torch.Tensor,
    corner: torch.Tensor,
    fitted: torch.Tensor,
    scale: torch.Tensor,
    size: int,
    side: int,
) -> torch.Tensor:
    """Return what each pixel along the square takes from each along the picture (M, size, side), as Pillow resizes.

    Lanczos' window of three lobes, or a box where the picture shrinks to half or less; rows outside are zero.
    """
    # In double precision: pixels lie on the very borders of the box.
    ratio = ((high - low).double() / fitted)[:, None, None]
    pixel = torch.arange(size, device=low.device)[None, :] - corner[:, None]
    centre = (pixel.double() + 0.5)[:, :, None] * ratio + low[:, None, None]
    source = torch.arange(side, device=low.device)[None, None, :]
    exact = (source + 0.5 - centre) / ratio.clamp(min=1)
    t = exact.float()
    lanczos = torch.where(t.abs() < 3, torch.sinc(t) * torch.sinc(t / 3), 0.0)
    box = ((exact > -0.5) & (exact <= 0.5)).float()
    weights = torch.where((scale <= 0.5)[:, None, None], box, lanczos)
    valid = ((pixel >= 0) & (pixel < fitted[:, None]))[:, :, None] & (
        (source >= low[:, None, None]) & (source < high[:, None, None])
    )
    weights = torch.where(valid, weights, 0.0)
    total = weights.sum(2, keepdim=True)
    return weights / torch.where(total.abs() > 1e-6, total, math.inf)
