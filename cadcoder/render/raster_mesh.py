"""Many parts as flat tensors, ready for the rasteriser: packed once, gathered on the device by number."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cadcoder.render.mesh import FEATURE_ANGLE, SolidLike, drawable

#: Levels of a coordinate from the middle of the part's box to its farthest side: 1/75 of a pixel of a 448 drawing.
LEVELS = 32767
#: Most vertices of a packed part, so that 16 bits number them.
MOST = 65535

Packed = dict[str, npt.NDArray[Any]]


def pack(solid: SolidLike) -> Packed | None:
    """Return a part's arrays in few bytes, or None where it has too many vertices.

    Returns:
        ``points`` (V, 3) int16, in 1 / LEVELS of half of the longest side, from the middle of the box; one for each
        vertex and normal. ``normals`` (V, 3) int8, times 127. ``faces`` (F, 3) uint16. ``edges`` (E, 2) uint16, what a
        CAD viewer draws. ``sharp`` (E,) uint8, whether the edge shows on a real part. ``bends`` (B, 4) uint16: two
        points and the two triangles of an edge inside a curved face, which the outline may follow. ``reach`` (1,)
        float32, half of the longest side.

    Raises:
        InputError: if the solid is empty or not finite.
    """
    part = drawable(solid)
    reach = max(float(np.abs(part.low).max()), 1e-12)
    corner = np.asarray(solid.faces, dtype=np.int64).ravel()
    normals = np.rint(part.normals * 127).astype(np.int64)
    key = ((corner * 256 + normals[:, 0] + 128) * 256 + normals[:, 1] + 128) * 256 + normals[:, 2] + 128
    _, first, where = np.unique(key, return_index=True, return_inverse=True)
    if len(first) > MOST or len(solid.faces) > MOST:
        return None
    faces = where.reshape(-1, 3)
    # One of the points that stand for each vertex; edges ask for places only.
    stand = np.zeros(len(part.points), dtype=np.int64)
    stand[corner] = where
    bare = drawable(solid, seams=False, feature_angle=FEATURE_ANGLE)
    width = len(part.points)
    borders, shown = (np.sort(e.astype(np.int64), axis=1) @ [width, 1] for e in (part.edges, bare.edges))
    # An edge of a real part that is no border of a surface: none where the surfaces are known.
    more = bare.edges[~np.isin(shown, borders)]
    edges = np.concatenate([part.edges, more])
    sharp = np.concatenate([np.isin(borders, shown), np.ones(len(more), dtype=bool)])
    return {
        "points": np.rint(part.points[corner[first]] * (LEVELS / reach)).astype(np.int16),
        "normals": normals[first].astype(np.int8),
        "faces": faces.astype(np.uint16),
        "edges": stand[edges].astype(np.uint16),
        "sharp": sharp.astype(np.uint8),
        "bends": _bends(faces, corner.reshape(-1, 3), part.corners.reshape(-1, 3, 3), width).astype(np.uint16),
        "reach": np.array([reach], dtype=np.float32),
    }


def _bends(
    faces: npt.NDArray[np.int64], vertices: npt.NDArray[np.int64], corners: npt.NDArray[np.float32], count: int
) -> npt.NDArray[np.int64]:
    """Return (B, 4) of the edges between triangles that meet at an angle below the feature angle, but not flat."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    a, b = vertices.ravel(), vertices[:, [1, 2, 0]].ravel()
    start, end = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    key = np.minimum(a, b) * count + np.maximum(a, b)
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    i, j = order[:-1][same], order[1:][same]
    cosine = np.einsum("ij,ij->i", normal[i // 3], normal[j // 3])
    keep = (cosine < 1 - 1e-5) & (cosine > np.cos(np.radians(FEATURE_ANGLE)))
    return np.asarray(np.stack([start[i], end[i], i // 3, j // 3], axis=1)[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Meshes:
    """Parts as flat tensors; the points, faces, edges and bends of part p are those from its offset to the next.

    Attributes:
        points: (V, 3) float32 or int16, from the middle of each part's box.
        normals: (V, 3) float32 or int8.
        faces: (F, 3) int32, points, counted from the part's first.
        edges: (E, 2) int32, likewise.
        sharp: (E,) bool, whether an edge shows on a real part.
        bends: (B, 4) int32: two points, two faces, likewise.
        reach: (P,) half of each part's longest side; what the coordinates are multiplied with where they are int16.
        point_offsets, face_offsets, edge_offsets, bend_offsets: (P + 1,) int64.
    """

    points: torch.Tensor
    normals: torch.Tensor
    faces: torch.Tensor
    edges: torch.Tensor
    sharp: torch.Tensor
    bends: torch.Tensor
    reach: torch.Tensor
    point_offsets: torch.Tensor
    face_offsets: torch.Tensor
    edge_offsets: torch.Tensor
    bend_offsets: torch.Tensor

    def __len__(self) -> int:
        return len(self.reach)

    @classmethod
    def load(cls, flat: Packed, device: torch.device | str = "cpu") -> Meshes:
        """Take arrays as :func:`flatten` returns them; they stay as compact as they are."""
        kept = {n: _tensor(flat[n], device) for n in ("points", "normals", "reach")}
        kept["sharp"] = _tensor(flat["sharp"].astype(bool), device)
        for name in ("faces", "edges", "bends"):
            kept[name] = _tensor(flat[name].astype(np.int32), device)
        for name in ("point", "face", "edge", "bend"):
            kept[f"{name}_offsets"] = _tensor(flat[f"{name}_offsets"].astype(np.int64), device)
        return cls(**kept)

    @classmethod
    def of(cls, solids: list[SolidLike], device: torch.device | str = "cpu") -> Meshes:
        """Pack solids and return them in their own unit.

        Raises:
            InputError: if one is empty or not finite.
            ValueError: if one has more than :data:`MOST` vertices or faces.
        """
        packed = [pack(s) for s in solids]
        if any(p is None for p in packed):
            raise ValueError(f"a part has more than {MOST} vertices or faces")
        packed_all = cls.load(flatten([p for p in packed if p is not None]), device)
        return packed_all.take(torch.arange(len(solids), device=device))

    def take(self, numbers: torch.Tensor) -> Meshes:
        """Return the parts of the given numbers (N,), in this order and as often as they occur, as float32."""
        gathered: dict[str, torch.Tensor] = {}
        owner: dict[str, torch.Tensor] = {}
        for name in ("point", "face", "edge", "bend"):
            offsets = getattr(self, f"{name}_offsets")
            count = (offsets[1:] - offsets[:-1])[numbers]
            new = torch.zeros(len(numbers) + 1, dtype=torch.int64, device=count.device)
            torch.cumsum(count, 0, out=new[1:])
            who, step = spread(count)
            gathered[f"{name}_offsets"] = new
            owner[name] = offsets[numbers][who] + step
        reach = self.reach[numbers]
        points = self.points[owner["point"]].float()
        if not self.points.is_floating_point():
            each = torch.repeat_interleave(reach, gathered["point_offsets"].diff(), output_size=len(points))
            points = points * (each / LEVELS)[:, None]
        normals = self.normals[owner["point"]].float()
        if not self.normals.is_floating_point():
            normals = normals / 127
        return Meshes(
            points=points,
            normals=normals,
            faces=self.faces[owner["face"]],
            edges=self.edges[owner["edge"]],
            sharp=self.sharp[owner["edge"]],
            bends=self.bends[owner["bend"]],
            reach=reach,
            **gathered,
        )

    def owner(self, name: str) -> torch.Tensor:
        """Return the part that each ``point``, ``face``, ``edge`` or ``bend`` belongs to."""
        offsets = getattr(self, f"{name}_offsets")
        total = len(self.points if name == "point" else getattr(self, f"{name}s"))
        parts = torch.arange(len(self), device=offsets.device)
        return torch.repeat_interleave(parts, offsets.diff(), output_size=total)

    def half(self) -> torch.Tensor:
        """Return half of the sides of each part's box (P, 3)."""
        return segment_max(self.points.float().abs(), self.owner("point"), len(self))

    def to(self, device: torch.device | str) -> Meshes:
        """Return the same on a device."""
        return Meshes(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def flatten(parts: list[Packed]) -> Packed:
    """Return many packed parts as one: their arrays one after the other, with ``point_offsets`` and so on."""
    flat: Packed = {}
    for name in ("points", "normals", "faces", "edges", "sharp", "bends", "reach"):
        flat[name] = np.concatenate([p[name] for p in parts])
    for name in ("point", "face", "edge", "bend"):
        flat[f"{name}_offsets"] = np.cumsum([0, *(len(p[f"{name}s"]) for p in parts)]).astype(np.int64)
    return flat


def spread(count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return, for counts (N,), the owner (S,) of each of their sum S things, and its number with that owner."""
    total = int(count.sum())
    at = torch.repeat_interleave(torch.arange(len(count), device=count.device), count, output_size=total)
    first = torch.cumsum(count, 0) - count
    return at, torch.arange(total, device=count.device) - first[at]


def segment_max(values: torch.Tensor, owner: torch.Tensor, count: int) -> torch.Tensor:
    """Return the largest (count, ...) of values (N, ...) for each owner (N,)."""
    out = torch.full((count, *values.shape[1:]), -torch.inf, device=values.device, dtype=values.dtype)
    index = owner.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return out.scatter_reduce_(0, index, values, "amax")


def _tensor(array: npt.NDArray[Any], device: torch.device | str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
