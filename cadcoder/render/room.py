"""The light of a made-up room, as a panorama of radiance such as an HDRI photograph holds, and what is lit by it.

A panorama is (H, W, 3) float32 of linear light: rows from straight up to straight down, columns once around the
vertical. Diffuse light is its irradiance by spherical harmonics of the second order (Ramamoorthi and Hanrahan, "An
Efficient Representation for Irradiance Environment Maps", SIGGRAPH 2001); mirrored light is looked up in the panorama,
blurred as the surface is rough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cadcoder.render.backdrop import Floats

HEIGHT, WIDTH = 32, 64


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """The light around a part.

    Attributes:
        panorama: (H, W, 3) radiance of everything but the key light's direct share.
        key: (3,) unit direction towards the key light, in the frame in which z is up.
        key_colour: (3,) irradiance of the key light on a face that looks at it.
        softness: angular size of the key light in radians: how wide the edges of its shadows are.
        harmonics: (9, 3) coefficients of the panorama's irradiance.
    """

    panorama: Floats
    key: Floats
    key_colour: Floats
    softness: float
    harmonics: Floats

    def diffuse(self, normals: Floats) -> Floats:
        """Return the irradiance over pi (N, 3) on faces with normals (N, 3), without the key light."""
        return np.asarray(np.maximum(_basis(normals) @ self.harmonics, 0), dtype=np.float32)

    def mirrored(self, directions: Floats, roughness: float) -> Floats:
        """Return the radiance (N, 3) that comes from directions (N, 3), blurred by a roughness in [0, 1]."""
        sigma = 0.5 + 7.0 * roughness
        soft = ndimage.gaussian_filter(self.panorama, (sigma, sigma, 0), mode=("nearest", "wrap", "nearest"))
        lobe = 1.0 / (0.02 + roughness * roughness)
        key = np.exp(lobe * (directions @ self.key - 1))[:, None] * (
            self.key_colour * np.float32(0.1 * math.sqrt(lobe))
        )
        return np.asarray(_looked_up(soft, directions) + key, dtype=np.float32)


def make_room(rng: np.random.Generator, ground: Floats) -> Room:
    """Return a random room: a workshop's lamps, an office's windows, an overcast sky.

    Args:
        rng: source of all randomness.
        ground: (3,) mean colour of what the part lies on, which lights it from below.
    """
    level = float(rng.uniform(0.25, 0.8))
    directions = _directions()
    height = directions[..., 2:]
    warm = 1 + rng.normal(0, 0.06) * np.array([1.0, 0.0, -1.0])
    ceiling, wall = level * rng.uniform(0.8, 1.6) * warm, level * rng.uniform(0.4, 1.0) * warm
    light = wall + (ceiling - wall) * np.clip(height, 0, 1) ** 0.7
    panorama = np.where(height < 0, level * ground * np.clip(-height * 4, 0.3, 1), light)
    # Furniture and people: darker patches around the horizon.
    patches = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), (2.5, 2.5), mode=("nearest", "wrap")) * 4
    panorama = panorama * np.clip(1 + rng.uniform(0.1, 0.5) * patches[..., None] * (height > -0.2), 0.15, 2)
    for _ in range(int(rng.integers(1, 5))):  # lamps and windows: rectangles in azimuth and elevation
        row, rows = int(rng.integers(1, HEIGHT // 2)), int(rng.integers(1, 6))
        columns = (int(rng.integers(0, WIDTH)) + np.arange(int(rng.integers(2, 14)))) % WIDTH
        panorama[row : row + rows, columns] += rng.uniform(0.8, 4.0) * (1 + rng.normal(0, 0.08, 3))
    z = float(rng.uniform(0.3, 0.95))
    angle, across = float(rng.uniform(0, 2 * math.pi)), math.sqrt(1 - z * z)
    key = np.array([across * math.cos(angle), across * math.sin(angle), z])
    # Under a sky or in a light tent there is hardly a key light.
    strength = float(rng.uniform(0.05, 0.3) if rng.random() < 0.25 else rng.uniform(0.7, 3.5)) * level * 1.3
    colour = strength * (1 + rng.normal(0, 0.06) * np.array([1.0, 0.1, -1.0]))
    panorama = panorama.astype(np.float32)
    return Room(
        panorama,
        key.astype(np.float32),
        colour.astype(np.float32),
        float(rng.uniform(0.02, 0.25)),
        _harmonics(panorama, directions),
    )


def _directions() -> Floats:
    """Return the unit direction (H, W, 3) of each texel."""
    polar = (np.arange(HEIGHT) + 0.5) / HEIGHT * math.pi
    around = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * math.pi
    x, y = np.sin(polar)[:, None] * np.cos(around), np.sin(polar)[:, None] * np.sin(around)
    return np.stack([x, y, np.repeat(np.cos(polar)[:, None], WIDTH, axis=1)], axis=-1).astype(np.float32)


def _looked_up(panorama: Floats, directions: Floats) -> Floats:
    """Return the panorama (N, 3) in directions (N, 3), between its texels."""
    polar = np.arccos(np.clip(directions[:, 2], -1, 1)) * (HEIGHT / math.pi) - 0.5
    around = np.arctan2(directions[:, 1], directions[:, 0]) * (WIDTH / (2 * math.pi)) - 0.5
    row = np.clip(polar, 0, HEIGHT - 1.001)
    top, left = np.floor(row).astype(int), np.floor(around).astype(int)
    v, u = (row - top)[:, None], (around - left)[:, None]
    left, right = left % WIDTH, (left + 1) % WIDTH
    upper = panorama[top, left] * (1 - u) + panorama[top, right] * u
    lower = panorama[top + 1, left] * (1 - u) + panorama[top + 1, right] * u
    return np.asarray(upper * (1 - v) + lower * v, dtype=np.float32)


def _basis(n: Floats) -> Floats:
    """Return the nine real spherical harmonics up to the second order of unit vectors (..., 3), (..., 9)."""
    x, y, z = n[..., 0], n[..., 1], n[..., 2]
    one = np.full_like(x, 0.282095)
    first = (0.488603 * y, 0.488603 * z, 0.488603 * x)
    second = (1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z)
    return np.stack([one, *first, *second, 0.546274 * (x * x - y * y)], axis=-1)


def _harmonics(panorama: Floats, directions: Floats) -> Floats:
    """Return (9, 3): the panorama's harmonics, weighted so that :func:`_basis` times them is irradiance over pi."""
    area = np.sin((np.arange(HEIGHT) + 0.5) / HEIGHT * math.pi) * (math.pi / HEIGHT) * (2 * math.pi / WIDTH)
    weights = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
    found = np.einsum("hwk,hwc,h->kc", _basis(directions), panorama, area)
    return np.asarray(weights[:, None] * found, dtype=np.float32)
