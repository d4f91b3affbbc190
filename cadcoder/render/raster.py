"""Drawing many parts at once in torch, on a CPU or a GPU, without OpenGL: the window's pictures, nearly to the pixel.

Triangles become rows of pixels, rows become fragments, all in flat tensors; the nearest fragment of every pixel is
found by one scatter of (depth, triangle) keys, so that the result does not depend on the order. Edges are one pixel
wide and drawn where the faces, pushed back by their own slope as ``glPolygonOffset`` does, do not hide them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cadcoder.render.look import Look
from cadcoder.render.raster_mesh import Meshes, spread
from cadcoder.render.raster_views import Views

#: Slopes that faces are pushed back by under the edges, and pixels on top for rounding.
PUSH, SLACK = 1.0, 2e-3
#: The key of an empty pixel.
_EMPTY = torch.iinfo(torch.int64).max
#: How far outside a triangle a pixel's centre may lie, in pixels, so that no gap opens between neighbours.
_RIM = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What is seen in M pictures of (height H, width W).

    Attributes:
        pixels: (N,) int64, the pixels that show a part, counted through all pictures.
        normals: (N, 3) unit normals there, in the camera's axes.
        nearness: (N,) pixels in front of the middle of the part's box.
        pushed: (M, H, W) how far away the faces are, pushed back for the edges; infinite where there are none.
        shape: (M, H, W).
    """

    pixels: torch.Tensor
    normals: torch.Tensor
    nearness: torch.Tensor
    pushed: torch.Tensor
    shape: tuple[int, int, int]

    @property
    def mask(self) -> torch.Tensor:
        """Silhouettes (M, H, W) bool."""
        return torch.isfinite(self.pushed)

    def depth(self) -> torch.Tensor:
        """Return the nearness (M, H, W), minus infinity where nothing is."""
        out = torch.full(self.shape, -torch.inf, device=self.pixels.device)
        out.view(-1)[self.pixels] = self.nearness
        return out


def surface(meshes: Meshes, views: Views, cull: bool = True) -> Surface:
    """Find what is seen of part m in view m.

    Args:
        meshes: M parts, float.
        views: M views.
        cull: leave out triangles that face away; right for closed, outward meshes, and twice as fast.
    """
    width, height = views.size
    count = len(views)
    screen = views.project(meshes.points, meshes.owner("point"))
    owner = meshes.owner("face")
    corners = meshes.faces.long() + meshes.point_offsets[owner][:, None]
    a, b, c = (screen[corners[:, k]] for k in range(3))
    # Twice the signed area; row 0 is on top, so that what faces the eye is negative.
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    keep = (area < -1e-6) if cull else (area.abs() > 1e-6)
    chosen = keep.nonzero()[:, 0]
    a, b, c, ab, ac = a[chosen], b[chosen], c[chosen], ab[chosen], ac[chosen]
    owner, corners, area = owner[chosen], corners[chosen], area[chosen]
    slope_x = (ab[:, 2] * ac[:, 1] - ac[:, 2] * ab[:, 1]) / area
    slope_y = (ac[:, 2] * ab[:, 0] - ab[:, 2] * ac[:, 0]) / area
    pushed = a[:, 2] + PUSH * torch.maximum(slope_x.abs(), slope_y.abs()) + SLACK

    ys = torch.stack([a[:, 1], b[:, 1], c[:, 1]], dim=1)
    first = torch.ceil(ys.amin(1) - 0.5 - _RIM).clamp(0, height)
    last = torch.floor(ys.amax(1) - 0.5 + _RIM).clamp(-1, height - 1)
    triangle, step = spread((last - first + 1).clamp(min=0).long())
    row = first[triangle] + step
    left, right = _span(row + 0.5, a[triangle], b[triangle], c[triangle])
    start = torch.ceil(left - 0.5 - _RIM).clamp(0, width)
    stop = torch.floor(right - 0.5 + _RIM).clamp(-1, width - 1)
    length = (stop - start + 1).clamp(min=0).long()
    base = pushed[triangle] + slope_y[triangle] * (row + 0.5 - a[triangle, 1])
    base = base + slope_x[triangle] * (start + 0.5 - a[triangle, 0])
    pixel = (owner[triangle] * height + row.long()) * width + start.long()

    piece, step = spread(length)
    number = triangle[piece]
    far = base[piece] + slope_x[number] * step
    keys = torch.full((count * height * width,), _EMPTY, dtype=torch.int64, device=far.device)
    keys.scatter_reduce_(0, pixel[piece] + step, (_ordered(far) << 32) | number, "amin")

    pixels = (keys != _EMPTY).nonzero()[:, 0]
    winner = keys[pixels]
    number = winner & 0xFFFFFFFF
    behind = torch.full((count * height * width,), torch.inf, device=far.device)
    behind[pixels] = _unordered(winner >> 32)
    x = (pixels % width).float() + 0.5
    y = (pixels // width % height).float() + 0.5
    dx, dy = x - a[number, 0], y - a[number, 1]
    ab, ac, area = ab[number], ac[number], area[number]
    v = ((dx * ac[:, 1] - dy * ac[:, 0]) / area).clamp(0, 1)
    w = ((dy * ab[:, 0] - dx * ab[:, 1]) / area).clamp(0, 1)
    # Linear in space is linear in the picture times the reciprocal of the distance, which normalising takes out.
    weight = torch.stack([(1 - v - w).clamp(min=0), v, w], dim=1)
    corner = corners[number]
    picture = owner[number]
    if bool(views.perspective.any()):
        eye = (views.distance / views.unit)[picture][:, None]
        closeness = 1 - screen[corner, 2] / eye  # distance of the target over that of the corner
        weight = torch.where(views.perspective[picture][:, None], weight * closeness, weight)
    normal = (meshes.normals[corner] * weight[:, :, None]).sum(1)
    axes = torch.stack([views.right, views.up, views.back], dim=1)[picture]
    normal = (axes * normal[:, None]).sum(2)
    normal = normal / normal.norm(dim=1, keepdim=True).clamp(min=1e-9)
    far = a[number, 2] + slope_x[number] * dx + slope_y[number] * dy
    near = views.nearness(far, picture)
    return Surface(pixels, normal, near, behind.view(count, height, width), (count, height, width))


def lines(meshes: Meshes, views: Views, seen: Surface, what: str = "all", width: int = 1) -> torch.Tensor:
    """Return where the visible edges are (M, H, W) bool.

    Args:
        meshes: M parts, float.
        views: M views.
        seen: their surfaces.
        what: ``all`` edges as a CAD viewer draws them; ``sharp``, what shows on a real part; ``sketch``, those and the
            outlines of curved faces.
        width: in pixels.
    """
    owner = meshes.owner("edge")
    ends = meshes.edges.long() + meshes.point_offsets[owner][:, None]
    if what != "all":
        ends, owner = ends[meshes.sharp], owner[meshes.sharp]
    if what == "sketch":
        around, who = _outlines(meshes, views)
        ends, owner = torch.cat([ends, around]), torch.cat([owner, who])
    screen = views.project(meshes.points, meshes.owner("point"))
    p, q = screen[ends[:, 0]], screen[ends[:, 1]]
    d = q - p
    steep = d[:, 1].abs() > d[:, 0].abs()
    # Along the longer axis a line has one pixel for each row or column whose centre it passes.
    p = torch.where(steep[:, None], p[:, [1, 0, 2]], p)
    q = torch.where(steep[:, None], q[:, [1, 0, 2]], q)
    turned = (p[:, 0] > q[:, 0])[:, None]
    p, q = torch.where(turned, q, p), torch.where(turned, p, q)
    run = (q[:, 0] - p[:, 0]).clamp(min=1e-9)
    rise, deepen = (q[:, 1] - p[:, 1]) / run, (q[:, 2] - p[:, 2]) / run
    first = torch.ceil(p[:, 0] - 0.5)
    number, step = spread((torch.ceil(q[:, 0] - 0.5) - first).clamp(min=0).long())
    major = first[number] + step
    along = major + 0.5 - p[number, 0]
    far = p[number, 2] + deepen[number] * along
    middle = p[number, 1] + rise[number] * along
    out = torch.zeros(seen.shape, dtype=torch.bool, device=far.device)
    pushed = seen.pushed.view(-1)
    count, height, across = seen.shape
    steep, owner = steep[number], owner[number]
    shift = torch.arange(width, device=far.device) - (width - 1) / 2
    for offset in shift.tolist():
        minor = torch.floor(middle + offset)
        row, column = torch.where(steep, major, minor), torch.where(steep, minor, major)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < across)
        pixel = (owner * height + row.long()) * across + column.long()
        pixel = pixel[inside]
        shown = far[inside] <= pushed[pixel]
        out.view(-1)[pixel[shown]] = True
    return out


def _outlines(meshes: Meshes, views: Views) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ends (N, 2) and the pictures (N,) of edges inside curved faces where these turn away from the eye."""
    owner = meshes.owner("bend")
    corners = meshes.faces.long() + meshes.point_offsets[meshes.owner("face")][:, None]
    faces = meshes.bends[:, 2:].long() + meshes.face_offsets[owner][:, None]
    eye = views.target + views.distance[:, None] * views.back
    fronts = []
    for k in range(2):
        a, b, c = (meshes.points[corners[faces[:, k], i]] for i in range(3))
        normal = torch.linalg.cross(b - a, c - a)
        towards = torch.where(views.perspective[owner][:, None], eye[owner] - a, views.back[owner])
        fronts.append((normal * towards).sum(1) > 0)
    turn = fronts[0] != fronts[1]
    return (meshes.bends[:, :2].long() + meshes.point_offsets[owner][:, None])[turn], owner[turn]


def shade(seen: Surface, looks: Sequence[Look]) -> torch.Tensor:
    """Return the light (N, 3) in [0, 1] of the pixels of a surface, without edges.

    Args:
        seen: M surfaces.
        looks: a look for each picture, or one for all.
    """
    device = seen.normals.device
    height, width = seen.shape[1:]
    picture = seen.pixels // (height * width) if len(looks) > 1 else torch.zeros_like(seen.pixels)

    def column(values: list[float] | list[tuple[float, float, float]]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    faces = [k.face or k.background for k in looks]
    face = column(faces)
    own = column([k.ambient_colour or f for k, f in zip(looks, faces, strict=True)])
    out = (column([k.ambient for k in looks])[:, None] * own)[picture]
    diffuse, specular = column([k.diffuse for k in looks]), column([k.specular for k in looks])
    shine = column([k.shininess for k in looks])
    for i in range(max(len(k.lights) for k in looks)):
        lights = [k.lights[i] if i < len(k.lights) else None for k in looks]
        towards = column([v.direction if v else (0.0, 0.0, 1.0) for v in lights])
        towards = (towards / towards.norm(dim=1, keepdim=True))[picture]
        strength = column([v.strength if v else 0.0 for v in lights])
        colour = column([v.colour if v else (0.0, 0.0, 0.0) for v in lights])
        facing = (seen.normals * towards).sum(1)
        out = out + ((diffuse * strength)[:, None] * colour * face)[picture] * facing.clamp(min=0)[:, None]
        # The eye is far away, along the third axis.
        mirror = (2 * facing * seen.normals[:, 2] - towards[:, 2]).clamp(min=1e-5) ** shine[picture]
        glint = torch.where(facing > 0, mirror, 0.0)
        out = out + ((specular * strength)[:, None] * colour)[picture] * glint[:, None]
    out = out.clamp(0, 1)
    linear = torch.tensor([k.linear_light for k in looks], device=device)[picture][:, None]
    normals = torch.tensor([k.normals for k in looks], device=device)[picture][:, None]
    bare = torch.tensor([k.face is None for k in looks], device=device)[picture][:, None]
    out = torch.where(linear, encode(out), out)
    out = torch.where(normals, (seen.normals + 1) / 2, out)
    return torch.where(bare, face[picture], out)


def encode(light: torch.Tensor) -> torch.Tensor:
    """Return linear light in [0, 1] as sRGB values in [0, 1] (IEC 61966-2-1)."""
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def draw(
    meshes: Meshes, views: Views, looks: Sequence[Look], cull: bool = True
) -> tuple[torch.Tensor, Surface, torch.Tensor]:
    """Draw part m in view m.

    Args:
        meshes: M parts, float.
        views: M views.
        looks: a look for each picture, or one for all; antialiasing and flat facets are not followed, and edges are
            as wide as the first look's, in whole pixels.
        cull: as for :func:`surface`.

    Returns:
        The pictures (M, 3, H, W) uint8; what is seen; and where edges are drawn (M, H, W).
    """
    seen = surface(meshes, views, cull)
    count, height, width = seen.shape
    device = seen.pixels.device
    each = list(looks) if len(looks) > 1 else [looks[0]] * count
    top = torch.tensor([k.background for k in each], device=device)
    bottom = torch.tensor([k.horizon or k.background for k in each], device=device)
    t = ((torch.arange(height, device=device) + 0.5) / height)[None, None, :, None]
    back = top[:, :, None, None] * (1 - t) + bottom[:, :, None, None] * t
    picture = back.expand(count, 3, height, width).permute(0, 2, 3, 1).reshape(-1, 3).clone()
    picture[seen.pixels] = shade(seen, looks)
    edged = torch.tensor([k.edge is not None for k in each], device=device)
    ink = lines(meshes, views, seen, width=max(1, round(each[0].edge_width))) & edged[:, None, None]
    at = ink.view(-1).nonzero()[:, 0]
    colour = torch.tensor([k.edge or (0.0, 0.0, 0.0) for k in each], device=device)
    picture[at] = colour[at // (height * width)]
    picture = (picture * 255 + 0.5).to(torch.uint8)
    return picture.view(count, height, width, 3).permute(0, 3, 1, 2), seen, ink


def _span(y: torch.Tensor, *corners: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the left and right end of triangles on the lines y (N,): infinite the wrong way round where they miss."""
    left, right = torch.full_like(y, torch.inf), torch.full_like(y, -torch.inf)
    for p, q in zip(corners, (*corners[1:], corners[0]), strict=True):
        # From the upper end on both sides of a shared edge, so that both triangles round alike.
        swap = p[:, 1] > q[:, 1]
        x0, y0 = torch.where(swap, q[:, 0], p[:, 0]), torch.where(swap, q[:, 1], p[:, 1])
        x1, y1 = torch.where(swap, p[:, 0], q[:, 0]), torch.where(swap, p[:, 1], q[:, 1])
        t = (y - y0) / (y1 - y0).clamp(min=1e-9)
        meets = (t >= 0) & (t <= 1) & (y1 > y0)
        x = x0 + t * (x1 - x0)
        left = torch.where(meets, torch.minimum(left, x), left)
        right = torch.where(meets, torch.maximum(right, x), right)
    return left, right


def _ordered(values: torch.Tensor) -> torch.Tensor:
    """Return float32 as int64 with the same order."""
    bits = values.contiguous().view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()


def _unordered(bits: torch.Tensor) -> torch.Tensor:
    """Undo :func:`_ordered`."""
    whole = bits.to(torch.int32)
    return (whole ^ ((whole >> 31) & 0x7FFFFFFF)).view(torch.float32)
