"""Many cameras at once: :mod:`cadcoder.render.camera` in tensors, one camera for each picture of a batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cadcoder.render.camera import Camera, View
from cadcoder.render.raster_mesh import Meshes, segment_max


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """Cameras (M), as :class:`cadcoder.render.camera.Camera`; z is up.

    Attributes:
        direction: (M, 3) from the part towards the eye.
        field_of_view: (M,) degrees; 0 is orthographic.
        margin: (M,).
        roll: (M,) degrees.
        aspect: (M,) of the window; 0 is the whole picture.
        tight: (M,) bool.
        shift: (M, 2).
    """

    direction: torch.Tensor
    field_of_view: torch.Tensor
    margin: torch.Tensor
    roll: torch.Tensor
    aspect: torch.Tensor
    tight: torch.Tensor
    shift: torch.Tensor

    def __len__(self) -> int:
        return len(self.direction)

    @classmethod
    def of(cls, cameras: Sequence[Camera], device: torch.device | str = "cpu") -> Cameras:
        """Take cameras whose up is z."""

        def column(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        return cls(
            direction=torch.tensor([c.direction for c in cameras], dtype=torch.float32, device=device),
            field_of_view=column([c.field_of_view or 0.0 for c in cameras]),
            margin=column([c.margin for c in cameras]),
            roll=column([c.roll for c in cameras]),
            aspect=column([c.aspect or 0.0 for c in cameras]),
            tight=torch.tensor([c.tight for c in cameras], device=device),
            shift=torch.tensor([c.shift for c in cameras], dtype=torch.float32, device=device),
        )

    @classmethod
    def where(cls, mask: torch.Tensor, first: Cameras, second: Cameras) -> Cameras:
        """Return the first's cameras where the mask (M,) holds, else the second's."""
        wide = mask[:, None]
        return cls(
            torch.where(wide, first.direction, second.direction),
            torch.where(mask, first.field_of_view, second.field_of_view),
            torch.where(mask, first.margin, second.margin),
            torch.where(mask, first.roll, second.roll),
            torch.where(mask, first.aspect, second.aspect),
            torch.where(mask, first.tight, second.tight),
            torch.where(wide, first.shift, second.shift),
        )

    def axes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return unit (right, up, towards the eye), each (M, 3)."""
        d = self.direction / self.direction.norm(dim=1, keepdim=True)
        zero = torch.zeros_like(d[:, 0])
        right = torch.stack([-d[:, 1], d[:, 0], zero], dim=1)  # z x d
        across = torch.stack([d[:, 2], zero, -d[:, 0]], dim=1)  # y x d, for views along z
        length = right.norm(dim=1, keepdim=True)
        right = torch.where(length > 1e-6, right / length.clamp(min=1e-12), across)
        right = right / right.norm(dim=1, keepdim=True)
        up = torch.linalg.cross(d, right)
        angle = torch.deg2rad(self.roll)[:, None]
        c, s = torch.cos(angle), torch.sin(angle)
        return c * right + s * up, c * up - s * right, d

    def fit(self, meshes: Meshes, size: tuple[int, int]) -> Views:
        """Fit camera m to part m of the meshes, for pictures of (width, height)."""
        width, height = size
        right, up, back = self.axes()
        half = meshes.half()
        signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=3)), device=half.device)
        box = half[:, None] * signs  # (M, 8, 3)
        owner = meshes.owner("point")
        window_w = torch.where(self.aspect > 0, (height * self.aspect).clamp(max=width), float(width))
        window_h = torch.where(self.aspect > 0, (width / self.aspect.clamp(min=1e-6)).clamp(max=height), float(height))
        free = 1 - 2 * self.margin
        half_w, half_h = window_w * free / 2, window_h * free / 2
        radius = half.norm(dim=1).clamp(min=1e-12)
        perspective = self.field_of_view > 0
        focal = height / 2 / torch.tan(torch.deg2rad(self.field_of_view.clamp(min=1e-3)) / 2)
        # Every bound is the largest of (value, -value) + k * depth; k is 0 without perspective.
        k = torch.where(perspective[:, None], torch.stack([half_w, half_h], 1) / focal[:, None], 0.0)

        def bounds(axis: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Return the largest of value + slope * depth and of -value + slope * depth."""
            x, z = (box * axis[:, None]).sum(2), (box * back[:, None]).sum(2)
            tall, low = (x + slope[:, None] * z).amax(1), (-x + slope[:, None] * z).amax(1)
            px, pz = (meshes.points * axis[owner]).sum(1), (meshes.points * back[owner]).sum(1)
            both = torch.stack([px + slope[owner] * pz, -px + slope[owner] * pz], dim=1)
            close = segment_max(both, owner, len(self))
            return torch.where(self.tight, close[:, 0], tall), torch.where(self.tight, close[:, 1], low)

        right_most, left_most = bounds(right, k[:, 0])
        top, bottom = bounds(up, k[:, 1])
        deepest = bounds(back, torch.zeros_like(radius))[0]
        centre = torch.stack([(right_most - left_most) / 2, (top - bottom) / 2], dim=1)
        across, tall = (right_most + left_most) / 2, (top + bottom) / 2
        flat_unit = torch.maximum(torch.maximum(across / half_w, tall / half_h), 1e-12 * radius)
        near_k = k.clamp(min=1e-9)
        eye = torch.maximum(torch.maximum(across / near_k[:, 0], tall / near_k[:, 1]), deepest * 1.02 + 1e-9)
        unit = torch.where(perspective, eye / focal, flat_unit)
        distance = torch.where(perspective, eye, 3 * radius)
        pixels = torch.tensor([width, height], dtype=torch.float32, device=half.device)
        middle = centre - self.shift * pixels * unit[:, None]
        return Views(
            middle[:, :1] * right + middle[:, 1:] * up, right, up, back, distance, unit, perspective, (width, height)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Fitted cameras (M), as :class:`cadcoder.render.camera.View`.

    Attributes:
        target, right, up, back: (M, 3).
        distance, unit: (M,).
        perspective: (M,) bool.
        size: (width, height).
    """

    target: torch.Tensor
    right: torch.Tensor
    up: torch.Tensor
    back: torch.Tensor
    distance: torch.Tensor
    unit: torch.Tensor
    perspective: torch.Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.unit)

    @classmethod
    def of(cls, views: Sequence[View], device: torch.device | str = "cpu") -> Views:
        """Take views of one size."""

        def column(name: str) -> torch.Tensor:
            held = np.array([getattr(v, name) for v in views], dtype=np.float32)
            return torch.from_numpy(held).to(device)

        flags = torch.tensor([v.field_of_view is not None for v in views], device=device)
        names = ("target", "right", "up", "back", "distance", "unit")
        return cls(**{n: column(n) for n in names}, perspective=flags, size=views[0].size)

    def project(self, points: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """Return (N, 3) of points (N, 3) in the pictures ``owner`` (N,): column, row, and how far away.

        Pixel centres are at halves, row 0 on top. How far away is linear across the picture on any plane (in
        perspective it is so in the reciprocal of the distance), counted in pixels from the target's depth.
        """
        p = points - self.target[owner]
        x, y = (p * self.right[owner]).sum(1), (p * self.up[owner]).sum(1)
        near = (p * self.back[owner]).sum(1)
        distance, unit = self.distance[owner], self.unit[owner]
        shrink = torch.where(self.perspective[owner], distance / (distance - near), 1.0)
        x, y, far = x * shrink / unit, y * shrink / unit, -near * shrink / unit
        return torch.stack([self.size[0] / 2 + x, self.size[1] / 2 - y, far], dim=1)

    def nearness(self, far: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """Return how far in front of the middle of the box, in pixels, what :meth:`project` put ``far`` away is."""
        eye = self.distance[owner] / self.unit[owner]
        # far = -near * eye / (eye - near), hence near = -far * eye / (eye - far).
        near = torch.where(self.perspective[owner], -far * eye / (eye - far), -far)
        return near + ((self.target * self.back).sum(1) / self.unit)[owner]


def random_cameras(
    count: int, generator: torch.Generator, device: torch.device | str = "cpu", perspective: bool = True
) -> Cameras:
    """Return views as :func:`cadcoder.render.camera.random_camera` draws them."""

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        drawn = torch.rand(count, *shape, generator=generator, device=generator.device).to(device)
        return low + (high - low) * drawn

    z, angle = uniform(-0.35, 0.95), uniform(0, 2 * math.pi)
    r = torch.sqrt(1 - z * z)
    margin = uniform(0.03, 0.2)
    roll = torch.randn(count, generator=generator, device=generator.device).to(device) * 4
    zero = torch.zeros(count, device=device)
    return Cameras(
        direction=torch.stack([r * torch.cos(angle), r * torch.sin(angle), z], dim=1),
        field_of_view=uniform(15, 60) if perspective else zero,
        margin=margin,
        roll=roll if perspective else zero,
        aspect=zero,
        tight=torch.ones(count, dtype=torch.bool, device=device),
        shift=uniform(-0.5, 0.5, 2) * margin[:, None],
    )
