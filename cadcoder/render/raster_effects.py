"""Backgrounds, paper, blur, noise and JPEG for many grey pictures (M, H, W) at once, in torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812

#: JPEG's table for brightness (ITU-T T.81, annex K.1).
_TABLE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


class Dice:
    """Random numbers for a batch of M pictures, from one generator."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device | str) -> None:
        """Draw for ``count`` pictures, on ``device``; the generator may be on another one."""
        self.count, self.generator, self.device = count, generator, torch.device(device)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Return (M, ...) between the bounds."""
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self.generator.device)
        return low + (high - low) * drawn.to(self.device)

    def normal(self, deviation: float, *shape: int) -> torch.Tensor:
        """Return (M, ...) of mean 0."""
        drawn = torch.randn(self.count, *shape, generator=self.generator, device=self.generator.device)
        return deviation * drawn.to(self.device)

    def chance(self, share: float) -> torch.Tensor:
        """Return (M,) bool, true with a probability."""
        return self.uniform(0, 1) < share

    def noise(self, size: tuple[int, int], cells: tuple[int, int]) -> torch.Tensor:
        """Return smooth noise (M, H, W) of deviation about 1 with blobs of 1 / cells of the picture."""
        coarse = self.normal(1.0, 1, cells[0] + 2, cells[1] + 2)
        return F.interpolate(coarse, size, mode="bicubic", align_corners=False)[:, 0]


def wide(values: torch.Tensor) -> torch.Tensor:
    """Return (M, 1, 1) of (M,)."""
    return values[:, None, None]


def gradient(size: tuple[int, int], angle: torch.Tensor) -> torch.Tensor:
    """Return ramps (M, H, W) from 0 to 1 along directions (M,) in radians."""
    height, width = size
    x = torch.linspace(-0.5, 0.5, width, device=angle.device)
    y = torch.linspace(-0.5, 0.5, height, device=angle.device)
    c, s = torch.cos(angle), torch.sin(angle)
    along = wide(s) * y[None, :, None] + wide(c) * x[None, None, :]
    reach = wide((c.abs() + s.abs()) / 2).clamp(min=1e-6)
    return (along + reach) / (2 * reach)


def background(size: tuple[int, int], dice: Dice) -> torch.Tensor:
    """Return backgrounds (M, H, W) in [0, 1], as :func:`cadcoder.render.backdrop.background` draws them, in grey."""
    base = torch.where(dice.chance(0.6), dice.uniform(0.15, 1.0), dice.uniform(0.85, 1.0))
    base = (base + dice.normal(0.02)).clamp(0, 1)
    kind = dice.uniform(0, 1)  # plain 0.3, gradient 0.3, texture 0.25, grain 0.15
    step = torch.where((kind > 0.3) & (kind < 0.6), dice.uniform(-0.25, 0.25), 0.0)
    out = wide(base) + wide(step) * gradient(size, dice.uniform(0, 2 * math.pi))
    textured = ((kind > 0.6) & (kind < 0.85)).float()
    for cells in (3, 9, 30, 90):
        blobs = dice.noise(size, (min(cells, size[0] // 2), min(cells, size[1] // 2)))
        out = out + wide(textured * dice.uniform(0, 0.05)) * blobs
    streaks = dice.noise(size, (max(2, size[0] // 8), 4))
    streaks = torch.where(wide(dice.chance(0.5)), streaks, streaks.transpose(1, 2)) if size[0] == size[1] else streaks
    out = out + wide((kind > 0.85).float() * dice.uniform(0.01, 0.06)) * streaks
    return out.clamp(0, 1)


def paper(size: tuple[int, int], dice: Dice) -> torch.Tensor:
    """Return sheets (M, H, W) in [0, 1]: near white, unevenly lit, with a grain, now and then ruled in squares."""
    white = (dice.uniform(0.88, 1.0) + dice.normal(0.01)).clamp(0, 1)
    dark = dice.uniform(0.82, 1.0)
    out = wide(white) * (1 + wide(dark - 1) * gradient(size, dice.uniform(0, 2 * math.pi)))
    grain = dice.noise(size, (size[0] // 3, size[1] // 3))
    out = out + wide(dice.uniform(0, 0.012)) * grain
    pitch = torch.floor(dice.uniform(14, 40) * max(size) / 448).clamp(min=3)
    lines = [torch.arange(n, device=out.device)[None] % pitch[:, None] < 1 for n in size]
    ruled = (lines[0][:, :, None] | lines[1][:, None, :]) & wide(dice.chance(0.2))
    return torch.where(ruled, out * 0.87, out).clamp(0, 1)


def smear(pictures: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return pictures (M, H, W) blurred by Gaussians of deviations (M,) in pixels; the border is repeated."""
    out = pictures
    for turn in range(2):
        side = out.shape[2]
        at = torch.arange(side, device=out.device, dtype=torch.float32)
        away = (at[:, None] - at[None, :])[None] / wide(sigma.clamp(min=1e-3))
        weights = torch.exp(-0.5 * away * away)
        # What lies beyond the border counts as the border: its weight is what the row's sum lacks there.
        out = out @ (weights / weights.sum(2, keepdim=True)).transpose(1, 2)
        out = out.transpose(1, 2) if turn == 0 else out
    return out.transpose(1, 2)


def warp(pictures: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
    """Return pictures (M, H, W) with each pixel taken from ``moves`` (M, 2, H, W) pixels (right, down) beside it."""
    count, height, width = pictures.shape
    x = torch.arange(width, device=pictures.device) + 0.5 + moves[:, 0]
    y = (torch.arange(height, device=pictures.device) + 0.5)[:, None] + moves[:, 1]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=3)
    return F.grid_sample(pictures[:, None], grid, align_corners=False)[:, 0]


def camera_effects(scene: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Return what a hand-held camera makes of scenes (M, H, W) in [0, 1]: uint8."""
    size = (scene.shape[1], scene.shape[2])
    x = torch.linspace(-0.5, 0.5, size[1], device=scene.device)
    y = torch.linspace(-0.5, 0.5, size[0], device=scene.device)
    away = (y[:, None] ** 2 + x[None, :] ** 2)[None]
    out = scene * (1 - wide(dice.uniform(0, 0.5)) * away) * wide(dice.uniform(0.85, 1.12))
    out = smear(out, (dice.uniform(0.5, 1.5) * max(size) / 448).clamp(min=0.6 * max(size) / 448))
    shot = torch.sqrt(out.clamp(0.02, 1)) * dice.normal(1.0, *size)
    return jpeg((out + wide(dice.uniform(0, 0.03)) * shot).clamp(0, 1) * 255, dice.uniform(45, 96))


def jpeg(pictures: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Return grey pictures (M, H, W) in [0, 255] after JPEG compression at qualities (M,): uint8.

    The cosine transform of 8x8 blocks, its coefficients rounded to multiples of the table as libjpeg scales it; the
    sides must be multiples of 8.
    """
    count, height, width = pictures.shape
    device = pictures.device
    k = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos((2 * k[None, :] + 1) * k[:, None] * math.pi / 16) * math.sqrt(2 / 8)
    basis[0] = math.sqrt(1 / 8)
    quality = quality.clamp(1, 100)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = torch.tensor(_TABLE, device=device, dtype=torch.float32).view(1, 8, 8)
    steps = torch.floor((table * wide(scale) + 50) / 100).clamp(1, 255)[:, None, None]
    blocks = (pictures - 128).view(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    levels = torch.round(basis @ blocks @ basis.T / steps) * steps
    back = (basis.T @ levels @ basis).transpose(2, 3).reshape(count, height, width)
    return torch.round((back + 128).clamp(0, 255)).to(torch.uint8)
