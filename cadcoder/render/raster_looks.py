"""Families of grey pictures drawn in batches: renders, photographs, line drawings, sketches.

What :mod:`cadcoder.render.gencad`, ``photo`` and ``sketch`` draw one by one, in grey and many at once: a model that
sees grey squares needs no colours. The same generator state gives the same pictures on one device.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from cadcoder.render.camera import GENCAD
from cadcoder.render.look import GENCAD_LOOK
from cadcoder.render.raster import encode, lines, shade, surface
from cadcoder.render.raster_effects import Dice, background, camera_effects, jpeg, paper, smear, warp, wide
from cadcoder.render.raster_mesh import Meshes
from cadcoder.render.raster_views import Cameras, random_cameras

#: How brightness is made of red, green and blue (ITU-R BT.601), as Pillow does.
_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True, eq=False)
class Drawings:
    """Pictures of one family.

    Attributes:
        pictures: (M, H, W) uint8.
        nearness: (M, H, W) pixels in front of the middle of the part's box, minus infinity where nothing is.
    """

    pictures: torch.Tensor
    nearness: torch.Tensor


def corner(meshes: Meshes, dice: Dice, side: int) -> Drawings:
    """Draw as the GenCAD renders are drawn, on a square of ``side`` pixels."""
    return _rendered(meshes, Cameras.of([GENCAD] * len(meshes), dice.device), side)


def turned(meshes: Meshes, dice: Dice, side: int) -> Drawings:
    """Draw in the look of the GenCAD renders from its other corners, or from anywhere."""
    return _rendered(meshes, _cameras(dice, corners=0.5), side)


def _rendered(meshes: Meshes, cameras: Cameras, side: int) -> Drawings:
    views = cameras.fit(meshes, (side, side))
    seen = surface(meshes, views)
    grey = torch.full(seen.shape, 255, dtype=torch.uint8, device=seen.pixels.device)
    weights = torch.tensor(_GREY, device=seen.pixels.device)
    light = (torch.floor(shade(seen, [GENCAD_LOOK]) * 255 + 0.5) * weights).sum(1)
    grey.view(-1)[seen.pixels] = torch.round(light).to(torch.uint8)
    grey[lines(meshes, views, seen)] = 0
    return Drawings(grey, seen.depth())


def photograph(meshes: Meshes, dice: Dice, side: int) -> Drawings:
    """Draw as if photographed: perspective, any material, light and background, and a camera's faults."""
    cameras = random_cameras(len(meshes), dice.generator, dice.device)
    views = cameras.fit(meshes, (side, side))
    seen = surface(meshes, views)
    face, light = _lit(seen.normals, seen.pixels // (side * side), dice)
    shape = (side, side)
    scene = background(shape, dice) * _shadow(seen.mask.float(), dice)
    scene.view(-1)[seen.pixels] = light
    ink = _widened(lines(meshes, views, seen, "sharp"), dice.chance(0.3)) & wide(dice.chance(0.25))
    scene = torch.where(ink, wide(0.35 * face), scene)
    return Drawings(camera_effects(scene, dice), seen.depth())


def line_drawing(meshes: Meshes, dice: Dice, side: int) -> Drawings:
    """Draw the visible edges alone, sharp or a little soft, black or dark grey on white or near white."""
    views = _cameras(dice, corners=0.6, first=0.5, perspective=0.3).fit(meshes, (side, side))
    seen = surface(meshes, views)
    every, outlined = lines(meshes, views, seen), lines(meshes, views, seen, "sketch")
    ink = torch.where(wide(dice.chance(0.4)), every, outlined)
    ink = _widened(ink, dice.chance(0.5)).float()
    soft = smear(ink, dice.uniform(0.3, 0.9) * side / 448)
    ink = torch.where(wide(dice.chance(0.4)), soft, ink)
    dark, white = dice.uniform(0, 90), torch.where(dice.chance(0.7), 255.0, dice.uniform(235, 255))
    tone = torch.where(dice.chance(0.2), dice.uniform(0.85, 0.97), 1.0)  # faces a little darker than the sheet
    sheet = torch.where(seen.mask, wide(white * tone), wide(white))
    picture = sheet * (1 - ink) + wide(dark) * ink
    return Drawings(torch.round(picture).to(torch.uint8), seen.depth())


def sketch(meshes: Meshes, dice: Dice, side: int) -> Drawings:
    """Draw by hand: unsteady strokes of changing width and pressure, once or twice, on paper."""
    views = _cameras(dice, corners=0.6, first=0.6, perspective=0.2).fit(meshes, (side, side))
    seen = surface(meshes, views)
    thin = lines(meshes, views, seen, "sketch").float()
    shape, scale = (side, side), side / 448
    width = dice.uniform(1.0, 3.2) * scale
    # A line of one pixel, blurred and cut off: its width and blackness follow the pressure.
    sigma = (0.45 * width).clamp(min=0.3)
    soft = smear(thin, sigma) * wide(2.5 * sigma)
    ink = torch.zeros_like(soft)
    for again in range(2):
        reach = dice.uniform(0.3, 1.8) * scale
        field = torch.stack([dice.noise(shape, (8, 8)) for _ in range(2)], dim=1) * reach[:, None, None, None]
        pressure = (1.7 + 0.4 * dice.noise(shape, (10, 10))).clamp(min=0.6)
        stroke = (warp(soft, field) * pressure).clamp(0, 1)
        twice = wide((dice.chance(0.4) | torch.tensor(again == 0, device=dice.device)).float())
        ink = torch.maximum(ink, stroke * twice)
    tooth = wide(dice.uniform(0, 0.35) * dice.chance(0.6))
    ink = ink * (1 - tooth * dice.normal(1.0, *shape).abs()).clamp(0, 1) * wide(dice.uniform(0.65, 1.0))
    picture = paper(shape, dice) * (1 - ink) + wide(dice.uniform(0, 0.25)) * ink
    return Drawings(jpeg(picture.clamp(0, 1) * 255, dice.uniform(60, 97)), seen.depth())


Family = Callable[[Meshes, Dice, int], Drawings]

#: The families by name.
FAMILIES: dict[str, Family] = {
    "corner": corner,
    "turned": turned,
    "photograph": photograph,
    "line_drawing": line_drawing,
    "sketch": sketch,
}


def _widened(ink: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return lines (M, H, W) bool, two pixels wide in the chosen pictures (M,)."""
    grown = ink.clone()
    grown[:, 1:] |= ink[:, :-1]
    grown[:, :, 1:] |= ink[:, :, :-1]
    return torch.where(wide(chosen), grown, ink)


def _cameras(dice: Dice, corners: float, first: float = 0.0, perspective: float = 0.0) -> Cameras:
    """Return cameras: a share at the corners of the GenCAD camera, a share of these at its own; others anywhere."""
    count = dice.count
    every = torch.tensor(list(itertools.product((1.0, -1.0), repeat=3)), device=dice.device)
    numbers = dice.uniform(0, 8).long().clamp(max=7)
    at_first = dice.chance(first)
    own = Cameras.of([GENCAD] * count, dice.device)
    direction = torch.where(at_first[:, None], own.direction, every[numbers])
    placed = Cameras(direction, own.field_of_view, own.margin, own.roll, own.aspect, own.tight, own.shift)
    free = random_cameras(count, dice.generator, dice.device)
    flat = ~dice.chance(perspective)
    zero = torch.zeros_like(free.roll)
    free = Cameras(
        free.direction,
        torch.where(flat, zero, free.field_of_view),
        free.margin,
        torch.where(flat, zero, free.roll),
        free.aspect,
        free.tight,
        free.shift,
    )
    return Cameras.where(dice.chance(corners), placed, free)


def _lit(normals: torch.Tensor, picture: torch.Tensor, dice: Dice) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the faces' own brightness (M,), and that of pixels (N,) under one to three random lights."""
    metal = dice.chance(0.4)
    face = dice.uniform(0.35, 1.0) * (1 - dice.uniform(0, 0.5) * torch.where(metal, 0.1, 0.6))
    ambient = dice.uniform(0.1, 0.35) * torch.where(metal, 0.4, 1.0)
    diffuse = dice.uniform(0.5, 0.9) * torch.where(metal, 0.8, 1.0)
    specular = torch.where(metal, dice.uniform(0.2, 0.7), dice.uniform(0, 0.3))
    shine = dice.uniform(8, 60)
    out = (ambient * face)[picture]
    for i in range(3):
        first = i == 0
        sides = dice.normal(0.8 if first else 1.0, 2)
        height = dice.uniform(0.4, 1.2) if first else dice.uniform(0.1, 1.0)
        towards = torch.cat([sides, height[:, None]], dim=1)
        if first:
            towards[:, 1] = 0.5 + 0.75 * towards[:, 1]
        towards = (towards / towards.norm(dim=1, keepdim=True))[picture]
        strength = torch.ones_like(face) if first else dice.uniform(0.1, 0.4) * dice.chance(2 / 3 if i == 1 else 1 / 3)
        facing = (normals * towards).sum(1)
        out = out + (diffuse * strength * face)[picture] * facing.clamp(min=0)
        mirror = (2 * facing * normals[:, 2] - towards[:, 2]).clamp(min=1e-5) ** shine[picture]
        out = out + (specular * strength)[picture] * torch.where(facing > 0, mirror, 0.0)
    out = out.clamp(0, 1)
    return face, torch.where(metal[picture], encode(out), out)


def _shadow(mask: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Return soft shadows (M, H, W), 1 where there is none: the silhouette, moved and blurred; half have none."""
    side = mask.shape[1]
    small = F.avg_pool2d(mask[:, None], 4)[:, 0]
    low = small.shape[1]
    move = dice.normal(0.02, 2) * low
    move[:, 1] += 0.02 * low
    soft = smear(warp(small, -move[:, :, None, None].expand(-1, -1, low, low)), dice.uniform(0.01, 0.05) * low)
    grown = F.interpolate(soft[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]
    return 1 - wide(dice.uniform(0.1, 0.5) * dice.chance(0.5)) * grown
