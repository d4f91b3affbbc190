"""Pictures as a person takes them of a part: perspective, any colour, light and background, and a camera's faults."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from cadcoder.render.backdrop import Floats, background, camera_effects
from cadcoder.render.camera import Camera, random_camera
from cadcoder.render.look import Colour, Light, Look
from cadcoder.render.mesh import SolidLike, drawable
from cadcoder.render.window import Image, window


def photo(solid: SolidLike, rng: np.random.Generator, *, size: int = 448, camera: Camera | None = None) -> Image:
    """Draw a solid as if photographed. The same generator state gives the same bytes.

    Args:
        solid: vertices (V, 3) and faces (F, 3).
        rng: source of all randomness.
        size: side of the picture in pixels.
        camera: where from; None is a random view in perspective.

    Returns:
        (size, size, 3) uint8.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    camera = camera or random_camera(rng)
    look = random_look(rng)
    shape = (size, size)
    part = drawable(solid, seams=False)
    view = camera.view(part.low, part.points, shape)
    drawing, depth = window(shape).draw_deep(part, view, look)
    # The hard rim needs no samples of its own: the camera's blur is at least half a pixel.
    alpha = np.isfinite(depth)
    scene = background(shape, rng)
    scene *= _shadow(alpha.astype(np.float32), rng)[..., None]
    scene[alpha] = drawing[alpha].astype(np.float32) / 255
    return camera_effects(scene, rng)


def random_look(rng: np.random.Generator) -> Look:
    """Return a random material under one to three random lights; mostly without drawn edges."""
    metal = rng.random() < 0.4
    hue, saturation = float(rng.uniform()), float(rng.uniform(0, 0.12) if metal else rng.beta(1.2, 1.5))
    face: Colour = colorsys.hsv_to_rgb(hue, saturation, float(rng.uniform(0.35, 1.0)))
    lights = [Light((float(rng.normal(0, 0.8)), float(rng.normal(0.5, 0.6)), float(rng.uniform(0.4, 1.2))))]
    for _ in range(int(rng.integers(0, 3))):
        direction = (float(rng.normal(0, 1)), float(rng.normal(0, 1)), float(rng.uniform(0.1, 1)))
        lights.append(Light(direction, strength=float(rng.uniform(0.1, 0.4))))
    edges = rng.random() < 0.25
    look = Look(
        face=face,
        edge=tuple(0.35 * v for v in face) if edges else None,  # type: ignore[arg-type]
        edge_width=float(rng.uniform(0.8, 2.0)),
        ambient=float(rng.uniform(0.1, 0.35)),
        diffuse=float(rng.uniform(0.5, 0.9)),
        specular=float(rng.uniform(0.2, 0.7) if metal else rng.uniform(0, 0.3)),
        shininess=float(rng.uniform(8, 60)),
        lights=tuple(lights),
    )
    return replace(look, linear_light=True, ambient=look.ambient * 0.4, diffuse=look.diffuse * 0.8) if metal else look


def _shadow(alpha: Floats, rng: np.random.Generator) -> Floats:
    """Return a soft shadow (H, W), 1 where there is none: the silhouette, moved and blurred; often there is none."""
    depth = float(rng.uniform(0.1, 0.5))
    height, width = alpha.shape
    move = rng.normal(0, 0.02, 2) * (height, width) + np.array([0.02 * height, 0.0])
    sigma = float(rng.uniform(0.01, 0.05)) * width
    if rng.random() < 0.5:
        return np.ones_like(alpha)
    # A quarter of the size is enough for something so soft.
    small = ndimage.shift(alpha[::4, ::4], move / 4, order=1)
    soft = ndimage.gaussian_filter(small, sigma / 4)
    grown = Pillow.fromarray(soft).resize((width, height), Pillow.Resampling.BILINEAR)
    return np.asarray(1 - depth * np.asarray(grown), dtype=np.float32)
