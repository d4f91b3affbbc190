"""What parts lie on and stand before, made from noise: tables, benches, mats, paper, and a workshop out of focus."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from cadcoder.render.backdrop import Floats, Size, gradient, smooth_noise

#: Side of a tile in texels; tiles repeat.
TILE = 384
KINDS = ("plain", "wood", "steel", "mat", "concrete", "cloth", "paper", "bench", "cork")


def make_tile(rng: np.random.Generator, kind: str | None = None) -> Floats:
    """Return a surface (TILE, TILE, 3), linear reflectance in [0, 1], that repeats in both directions.

    Args:
        rng: source of all randomness.
        kind: one of :data:`KINDS`; None draws one.
    """
    kind = kind or str(rng.choice(KINDS, p=[0.16, 0.18, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06]))
    size = (TILE, TILE)
    tile = np.ones((TILE, TILE, 3)) * _colour(kind, rng)
    if kind == "wood":
        rings = _noise(rng, 3, 40) * rng.uniform(1, 3) + _noise(rng, 1, 8) * rng.uniform(1, 4)
        tile = tile * (1 + 0.16 * np.sin(2 * np.pi * rings) + 0.07 * _noise(rng, 2, 120))[..., None]
        planks = int(rng.integers(0, 5))
        if planks:
            rows = np.arange(TILE) * planks // TILE
            tile = tile * (1 + 0.12 * rng.standard_normal(planks))[rows][:, None, None]
            gap = np.diff(rows, prepend=rows[-1]) != 0
            tile[gap] *= 0.3
    elif kind == "steel":
        tile = tile * (1 + rng.uniform(0.02, 0.08) * _noise(rng, 2, 190) + 0.05 * _noise(rng, 3, 3))[..., None]
    elif kind == "mat":
        step = TILE // int(rng.choice([8, 12, 16]))
        line = (np.arange(TILE) % step < 1) | (np.arange(TILE) % (4 * step) < 2)
        pale = np.clip(tile + rng.uniform(0.06, 0.3), 0, 1)
        tile = np.where((line[:, None] | line[None, :])[..., None], pale, tile)
    elif kind in ("concrete", "cork"):
        fine, coarse = (0.12, 0.1) if kind == "concrete" else (0.22, 0.12)
        tile = (
            tile * (1 + fine * _noise(rng, 90, 90) + coarse * _noise(rng, 6, 6) + 0.05 * _noise(rng, 25, 25))[..., None]
        )
    elif kind == "cloth":
        threads = int(rng.integers(50, 96))
        wave = 2 * np.pi * threads * np.arange(TILE) / TILE
        weave = np.sin(wave)[:, None] * np.sin(wave)[None, :]
        tile = tile * (1 + 0.12 * weave + 0.06 * _noise(rng, 30, 30) + 0.06 * _noise(rng, 4, 4))[..., None]
    elif kind == "paper":
        tile = tile * (1 + 0.015 * _noise(rng, 120, 120))[..., None]
        if rng.random() < 0.5:
            line = np.arange(TILE) % (TILE // int(rng.choice([24, 32, 48]))) < 1
            both = line[:, None] | (line[None, :] & (rng.random() < 0.6))
            tile = np.where(both[..., None], tile * (0.75, 0.83, 0.93), tile)
    elif kind == "bench":  # scratched and stained
        tile = tile * (1 + 0.2 * _noise(rng, 4, 4) + 0.08 * _noise(rng, 60, 60))[..., None]
        tile *= (1 + 0.25 * np.clip(_noise(rng, 3, 90) - 1.6, 0, 1))[..., None]
        spots = np.clip(_noise(rng, 14, 14) - 1.8, 0, 1)
        tile *= (1 - 0.7 * spots)[..., None]
    else:
        tile = tile * (1 + rng.uniform(0, 0.03) * smooth_noise(size, 100, rng))[..., None]
    if rng.random() < 0.5:
        tile = tile.swapaxes(0, 1)
    return np.clip(tile, 0.01, 1).astype(np.float32)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Return noise (TILE, TILE) of mean 0 and deviation 1, with so many blobs down and across; it repeats."""
    values = np.pad(rng.standard_normal((rows, columns)).astype(np.float32), 2, mode="wrap")
    zoom = TILE / np.array([rows, columns])
    left, top = round(2 * zoom[1]), round(2 * zoom[0])
    across, down = round((columns + 4) * zoom[1]), round((rows + 4) * zoom[0])
    grown = Pillow.fromarray(values).resize((across, down), Pillow.Resampling.BICUBIC)
    cut = np.asarray(grown.crop((left, top, left + TILE, top + TILE)), dtype=np.float32)
    return np.asarray((cut - cut.mean()) / max(float(cut.std()), 1e-6), dtype=np.float32)


def _colour(kind: str, rng: np.random.Generator) -> Floats:
    """Return a likely linear reflectance (3,) of a kind of surface."""
    ranges: dict[str, tuple[tuple[float, float, float], float, float]] = {
        "wood": ((1.0, 0.68, 0.42), 0.15, 0.6),
        "steel": ((1.0, 1.0, 1.02), 0.2, 0.5),
        "mat": ((0.35, 1.0, 0.62), 0.04, 0.25),
        "concrete": ((1.0, 0.97, 0.92), 0.15, 0.45),
        "cork": ((1.0, 0.7, 0.42), 0.25, 0.45),
        "paper": ((1.0, 0.99, 0.96), 0.7, 0.9),
        "bench": ((1.0, 0.85, 0.7), 0.08, 0.35),
    }
    if kind in ranges:
        tint, low, high = ranges[kind]
        if kind == "mat" and rng.random() < 0.5:
            r, g, b = (float(v) for v in rng.uniform(0.3, 1, 3))
            tint = (r, g, b)
        return np.asarray(np.array(tint) * rng.normal(1, 0.05, 3) * rng.uniform(low, high), dtype=np.float32)
    grey = rng.uniform(0.03, 0.85) if rng.random() < 0.7 else rng.uniform(0.6, 0.9)
    return np.asarray(np.clip(grey * rng.normal(1, 0.25 if rng.random() < 0.25 else 0.04, 3), 0.02, 0.9), np.float32)


def spread(tile: Floats, u: Floats, v: Floats) -> Floats:
    """Return the tile's colours (..., 3) at coordinates (...) counted in tiles."""
    rows = (v * TILE).astype(np.int32) % TILE
    columns = (u * TILE).astype(np.int32) % TILE
    return np.asarray(tile[rows, columns], dtype=np.float32)


def make_backdrop(size: Size, rng: np.random.Generator) -> Floats:
    """Return what stands behind the table (H, W, 3), linear, out of focus: a wall, shelves, machines, lamps."""
    width, height = size
    wall = np.asarray(rng.uniform(0.03, 0.6) * rng.normal(1, 0.06, 3), dtype=np.float32)
    small = gradient((64, 64), wall, wall * np.float32(rng.uniform(0.5, 1.3)), float(rng.uniform(0, 2 * np.pi)))
    for _ in range(int(rng.integers(0, 18))):
        x, y = rng.integers(-8, 64, 2)
        w, h = rng.integers(2, 24, 2)
        colour = rng.uniform(0.01, 0.6) * np.clip(rng.normal(1, 0.25, 3), 0.1, 2)
        small[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = colour
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.integers(2, 60, 2)
        small[y : y + 3, x : x + 3] = rng.uniform(1, 3)
    small = ndimage.gaussian_filter(np.clip(small, 0, 3), (*(rng.uniform(1.2, 4.0),) * 2, 0))
    bands = [Pillow.fromarray(small[..., k]).resize((width, height), Pillow.Resampling.BICUBIC) for k in range(3)]
    return np.asarray(np.clip(np.stack([np.asarray(b) for b in bands], axis=-1), 0, None), dtype=np.float32)
