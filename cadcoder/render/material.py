"""What parts are made of: colour, how they mirror, and the marks of how they were made."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cadcoder.render.backdrop import Floats

KINDS = ("plastic", "printed", "metal", "painted", "rubber", "wood")
#: Linear colours of mirrored light: aluminium, steel, brass, copper, titanium.
METALS = ((0.91, 0.92, 0.92), (0.62, 0.6, 0.58), (0.89, 0.72, 0.37), (0.93, 0.62, 0.48), (0.54, 0.5, 0.45))


@dataclass(frozen=True, slots=True)
class Material:
    """A surface under light.

    Attributes:
        colour: linear reflectance of scattered light (for a metal: of mirrored light).
        metal: whether light is only mirrored.
        roughness: 0 is a mirror, 1 is matt.
        marks: what the surface shows: ``none``, ``layers`` (of a 3D print), ``brushed``, ``grain`` or ``speckled``.
        strength: how strongly, as a fraction of the colour.
        pitch: how many layers or streaks there are along the part's longest half diagonal.
        axis: the part's axis that layers are stacked and streaks vary along.
    """

    colour: tuple[float, float, float]
    metal: bool
    roughness: float
    marks: str
    strength: float
    pitch: float
    axis: int

    def texture(self, points: Floats, seed: int) -> Floats:
        """Return what the marks multiply the colour with (N,) at points (N, 3), in half diagonals of the part."""
        if self.marks == "none":
            return np.ones(len(points), dtype=np.float32)
        rng = np.random.default_rng(seed)
        along = points[:, self.axis]
        if self.marks == "layers":
            wave = np.cos(2 * np.pi * self.pitch * along)
        elif self.marks == "speckled":
            cells = np.floor(points * self.pitch).astype(np.int64) & 63
            wave = rng.standard_normal((64, 64, 64), dtype=np.float32)[cells[:, 0], cells[:, 1], cells[:, 2]]
        else:
            # Streaks: noise along one axis, bent a little where it is grain.
            other = points[:, (self.axis + 1) % 3]
            bend = 0.08 * np.sin(2.5 * other + rng.uniform(0, 6)) if self.marks == "grain" else 0.0
            at = (along + bend) * self.pitch * 4
            line = rng.standard_normal(512).astype(np.float32)
            left = np.floor(at).astype(np.int64)
            share = (at - left).astype(np.float32)
            wave = line[left % 512] * (1 - share) + line[(left + 1) % 512] * share
        return np.asarray(np.clip(1 + self.strength * wave, 0.2, 2), dtype=np.float32)


def make_material(rng: np.random.Generator) -> Material:
    """Return a random material; every draw takes the same number of random values only within its kind."""
    kind = str(rng.choice(KINDS, p=[0.24, 0.18, 0.32, 0.12, 0.08, 0.06]))
    pitch, axis = float(rng.uniform(12, 60)), int(rng.integers(3))
    if kind == "metal":
        colour = np.asarray(METALS[int(rng.choice(len(METALS), p=[0.35, 0.35, 0.14, 0.06, 0.1]))])
        dark = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else rng.uniform(0.8, 1.0)
        marks = str(rng.choice(["none", "brushed", "speckled"], p=[0.4, 0.4, 0.2]))
        return Material(_three(colour * dark), True, float(rng.uniform(0.15, 0.7)), marks, 0.08, pitch, axis)
    if kind == "wood":
        colour = np.array([1.0, 0.66, 0.4]) * rng.uniform(0.15, 0.6) * rng.normal(1, 0.05, 3)
        return Material(_three(colour), False, float(rng.uniform(0.6, 1)), "grain", 0.15, pitch / 3, axis)
    hue, value = float(rng.uniform()), float(rng.uniform(0.03, 0.8))
    # Much of what is made of plastic is black, white or grey.
    grey = rng.random() < (0.9 if kind == "rubber" else 0.45)
    colour = np.asarray(
        colorsys.hsv_to_rgb(hue, float(rng.uniform(0, 0.08) if grey else rng.uniform(0.3, 0.95)), value)
    )
    if kind == "rubber":
        return Material(_three(colour * 0.25), False, float(rng.uniform(0.7, 1)), "none", 0.0, pitch, axis)
    if kind == "printed":
        # Prints mostly stand on their own bottom.
        strength, axis = float(rng.uniform(0.03, 0.14)), 2 if rng.random() < 0.8 else axis
        return Material(_three(colour), False, float(rng.uniform(0.4, 0.9)), "layers", strength, pitch, axis)
    marks = "speckled" if rng.random() < 0.2 else "none"
    return Material(_three(colour), False, float(rng.uniform(0.08, 0.8)), marks, 0.05, pitch, axis)


def _three(values: npt.NDArray[np.floating]) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in np.clip(values, 0.01, 0.95))
    return r, g, b
