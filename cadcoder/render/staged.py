"""Photographs of a part that lies on a table or a bench in a made-up room, taken by hand; with maps of what is seen.

The part is drawn once for its normals and depths; light is worked out pixel by pixel: a key light with shadows on the
part and on what it lies on, the light of the room (:mod:`cadcoder.render.room`), what the surface mirrors
(:mod:`cadcoder.render.material`), and the dark where it touches the table. Then come focus, a hand that shakes,
something that lies in front at the edge of the picture, noise and JPEG.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from cadcoder.render.backdrop import Floats, camera_file, soft
from cadcoder.render.camera import Camera, View
from cadcoder.render.ground import make_backdrop, make_tile, spread
from cadcoder.render.look import Look
from cadcoder.render.maps import Maps, draw_maps
from cadcoder.render.material import Material, make_material
from cadcoder.render.mesh import Drawable, SolidLike, drawable
from cadcoder.render.room import Room, make_room
from cadcoder.render.window import Image, window

#: Side of the pictures that the key light and the table see of the part, in pixels.
SHADOW = 192
#: Beyond this many half diagonals from the part the table ends.
TABLE = 7.0
#: For depths alone.
_FLAT = Look(edge=None)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A photograph.

    Attributes:
        file: the JPEG file that the camera stored.
        maps: of the part where it is seen.
    """

    file: bytes
    maps: Maps

    @property
    def image(self) -> Image:
        """The picture, (H, W, 3) uint8."""
        return np.asarray(Pillow.open(io.BytesIO(self.file)).convert("RGB"))


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A part on a table: unit axes of the table's frame as rows (z is up), the table's height, half the diagonal."""

    part: Drawable
    axes: npt.NDArray[np.float64]
    floor: float
    radius: float


def shoot(solid: SolidLike, rng: np.random.Generator, *, size: int = 448, camera: Camera | None = None) -> Shot:
    """Photograph a solid. The same generator state gives the same bytes.

    Args:
        solid: vertices (V, 3) and faces (F, 3).
        rng: source of all randomness.
        size: side of the picture in pixels.
        camera: where from; its ``up`` is away from the table. None is a hand-held camera.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    camera = camera or hand_held(rng)
    part = drawable(solid, seams=False)
    view = camera.view(part.low, part.points, (size, size))
    scene = _scene(part, np.asarray(camera.up, dtype=np.float64))
    maps, depth = draw_maps(part, view)

    tile, material = make_tile(rng), make_material(rng)
    room = make_room(rng, tile.mean(axis=(0, 1)))
    rays = _rays(view)
    table, distance = _table(scene, view, room, tile, rays, rng)
    behind = make_backdrop((size, size), rng) * np.float32(rng.uniform(0.4, 1.2))
    # The table's far edge is out of focus too.
    on_it = distance < TABLE * scene.radius
    share = soft(on_it.astype(np.float32), 1.5)[..., None] if not on_it.all() else np.float32(1)
    picture = table * share + behind * (1 - share)
    blur = float(rng.uniform(0, 2.5)) * size / 448
    picture = soft(picture, blur) if blur > 0.4 else picture
    mask = maps.mask
    picture[mask] = _lit(scene, view, room, material, maps, depth, rays, int(rng.integers(2**31)))
    picture = _exposed(picture, mask, rng)
    if rng.random() < 0.25:
        picture, before = _something_in_front(picture, mask, rng)
        maps = maps.hidden(before)
    if rng.random() < 0.3:
        picture = _shaken(picture, rng)
    return Shot(camera_file(picture, rng), maps)


def hand_held(rng: np.random.Generator) -> Camera:
    """Return a camera over a table: any side of the part may lie down, and now and then the frame cuts the part."""
    up, side = np.zeros(3), int(rng.integers(6))
    up[side // 2 if rng.random() < 0.3 else 2] = -1.0 if side % 2 and rng.random() < 0.3 else 1.0
    z, angle = float(rng.uniform(0.15, 0.97)), float(rng.uniform(0, 2 * math.pi))
    first, second = np.roll(up, 1), np.cross(up, np.roll(up, 1))
    direction = z * up + math.sqrt(1 - z * z) * (math.cos(angle) * first + math.sin(angle) * second)
    margin = float(rng.uniform(-0.1, 0.0) if rng.random() < 0.1 else rng.uniform(0.02, 0.24))
    shift = np.clip(rng.uniform(-0.7, 0.7, 2) * abs(margin), -0.12, 0.12)
    return Camera(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        up=(float(up[0]), float(up[1]), float(up[2])),
        field_of_view=float(rng.uniform(18, 58)),
        margin=margin,
        roll=float(rng.normal(0, 6)),
        tight=True,
        shift=(float(shift[0]), float(shift[1])),
    )


def _scene(part: Drawable, up: npt.NDArray[np.float64]) -> _Scene:
    up = up / np.linalg.norm(up)
    first = np.eye(3)[int(np.abs(up).argmin())]
    first = first - (first @ up) * up
    first /= np.linalg.norm(first)
    axes = np.stack([first, np.cross(up, first), up])
    return _Scene(part, axes, float((part.points @ up.astype(np.float32)).min()), float(np.linalg.norm(part.low)))


def _rays(view: View) -> Floats:
    """Return for each pixel (H, W, 3) the way from the eye, in the camera's axes, for each unit along its axis."""
    width, height = view.size
    x = ((np.arange(width) + 0.5) - width / 2) * view.unit / view.distance
    y = (height / 2 - (np.arange(height) + 0.5)) * view.unit / view.distance
    rays = np.empty((height, width, 3), dtype=np.float32)
    rays[..., 0], rays[..., 1], rays[..., 2] = x[None, :], y[:, None], -1.0
    return rays


def _turn(view: View, scene: _Scene) -> Floats:
    """Return the rotation (3, 3) from the camera's axes into the table's, as a factor on the right of rows."""
    return (np.stack([view.right, view.up, view.back]) @ scene.axes.T).astype(np.float32)


def _eye(view: View, scene: _Scene) -> Floats:
    """Return where the eye is in the table's frame (3,)."""
    return (scene.axes @ (view.target + view.distance * view.back)).astype(np.float32)


def _table(
    scene: _Scene, view: View, room: Room, tile: Floats, rays: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the table's light (H, W, 3), and how far off the part what is seen of it lies (H, W), infinite beyond."""
    eye, ways = _eye(view, scene), rays @ _turn(view, scene)
    down = np.minimum(ways[..., 2], -1e-6)
    reach = np.where(ways[..., 2] < -1e-6, (scene.floor - eye[2]) / down, np.inf)
    far = 30 * scene.radius
    points = eye[:2] + ways[..., :2] * np.clip(reach, 0, far)[..., None]
    distance = np.where((reach > 0) & (reach < far), np.hypot(points[..., 0], points[..., 1]), np.inf)
    angle, scale = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(1.5, 4.5)) * scene.radius
    c, s = np.float32(math.cos(angle) / scale), np.float32(math.sin(angle) / scale)
    u = points[..., 0] * c + points[..., 1] * s + np.float32(rng.uniform())
    v = points[..., 1] * c - points[..., 0] * s + np.float32(rng.uniform())
    colours = spread(tile, u, v)
    up = np.array([[0, 0, 1]], dtype=np.float32)
    key = room.key_colour * np.float32(max(float(room.key[2]), 0))
    few = points[::2, ::2]  # both are soft
    lamp, touch = (_grown(a, u.shape) for a in (_shadow(scene, room, few), _touch(scene, few)))
    light = room.diffuse(up)[0] * touch[..., None] + key * lamp[..., None]
    shine = float(rng.uniform(0, 0.12)) if rng.random() < 0.5 else 0.0
    if shine:
        away = ways.copy()
        away[..., 2] = -away[..., 2]
        away /= np.linalg.norm(away, axis=-1, keepdims=True)
        step = 4  # it is soft: a sixteenth of the pixels will do
        few = away[::step, ::step]
        glow = room.mirrored(few.reshape(-1, 3), 0.5).reshape(*few.shape)
        colours = colours + shine * np.repeat(np.repeat(glow, step, 0), step, 1)[: len(u), : u.shape[1]]
    return (colours * light).astype(np.float32), distance.astype(np.float32)


def _grown(picture: Floats, shape: tuple[int, ...]) -> Floats:
    """Return a picture (H / 2, W / 2) at a shape (H, W)."""
    grown = Pillow.fromarray(picture).resize((shape[1], shape[0]), Pillow.Resampling.BILINEAR)
    return np.asarray(grown, dtype=np.float32)


def _lamp_view(scene: _Scene, direction: Floats, margin: float = 0.04) -> View:
    """Return how a light far away in a direction of the table's frame sees the part."""
    x, y, z = (float(v) for v in direction @ scene.axes)
    sideways = scene.axes[0] if abs(direction[2]) > 0.9 else scene.axes[2]
    up = (float(sideways[0]), float(sideways[1]), float(sideways[2]))
    camera = Camera(direction=(x, y, z), up=up, margin=margin, tight=True)
    return camera.view(scene.part.low, scene.part.points, (SHADOW, SHADOW))


def _project(view: View, scene: _Scene, points: Floats) -> Floats:
    """Return pixel positions (N, 2) of points (N, 3) of the table's frame in a view without perspective."""
    axes = np.stack([view.right, -view.up]) @ scene.axes.T / view.unit
    origin = SHADOW / 2 - np.stack([view.right, -view.up]) @ view.target / view.unit
    return np.asarray(points @ axes.T.astype(np.float32) + origin.astype(np.float32), dtype=np.float32)


def _sampled(picture: Floats, at: Floats, outside: float) -> Floats:
    """Return a picture's values (N,) at pixel positions (N, 2), between the centres of its pixels."""
    x, y = at[..., 0] - 0.5, at[..., 1] - 0.5
    h, w = picture.shape
    inside = (x >= 0) & (y >= 0) & (x < w - 1) & (y < h - 1)
    x, y = np.clip(x, 0, w - 1.001), np.clip(y, 0, h - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    u, v = x - left, y - top
    flat, k = picture.ravel(), top * w + left
    found = (flat[k] * (1 - u) + flat[k + 1] * u) * (1 - v) + (flat[k + w] * (1 - u) + flat[k + w + 1] * u) * v
    return np.where(inside, found, outside).astype(np.float32)


def _shadow(scene: _Scene, room: Room, points: Floats) -> Floats:
    """Return how much of the key light reaches points (H, W, 2) of the table, (H, W)."""
    view = _lamp_view(scene, room.key, margin=0.2)
    depth = window(view.size).draw_deep(scene.part, view, _FLAT)[1]
    sigma = float(0.5 + room.softness * 0.35 * scene.radius / view.unit)
    covered = soft(np.isfinite(depth).astype(np.float32), sigma)
    whole = np.dstack([points, np.full(points.shape[:2], scene.floor, np.float32)])
    return 1 - _sampled(covered, _project(view, scene, whole), 0.0)


def _touch(scene: _Scene, points: Floats) -> Floats:
    """Return how much of the room's light reaches points (H, W, 2) of the table: less where the part is near above."""
    view = _lamp_view(scene, np.array([0, 0, -1], dtype=np.float32), margin=0.25)
    depth = window(view.size).draw_deep(scene.part, view, _FLAT)[1]
    # The view is from below the table, which is the nearest thing there can be.
    height = depth - depth[np.isfinite(depth)].min(initial=np.float32(10 * scene.radius))
    cover = np.exp(-height / (0.25 * scene.radius)).astype(np.float32)
    wide = soft(cover, 0.12 * scene.radius / view.unit)
    near = soft(cover, 0.02 * scene.radius / view.unit)
    whole = np.dstack([points, np.full(points.shape[:2], scene.floor, np.float32)])
    return 1 - _sampled(0.45 * wide + 0.4 * near, _project(view, scene, whole), 0.0)


def _lit(
    scene: _Scene, view: View, room: Room, material: Material, maps: Maps, depth: Floats, rays: Floats, seed: int
) -> Floats:
    """Return the light (N, 3) that comes from the pixels of the part."""
    mask, turn = maps.mask, _turn(view, scene)
    normals = np.asarray((maps.normals[mask].astype(np.float32) - np.float32(127.5)) @ turn, dtype=np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    ways = rays[mask] @ turn
    points = _eye(view, scene) + ways * depth[mask][:, None]
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    facing = np.asarray(normals @ room.key, dtype=np.float32)
    lamp = np.maximum(facing, 0) * _self_shadow(scene, room, points, mask, facing)
    shade = _crevices(maps, scene, view)[mask][:, None]
    colour = np.asarray(material.colour, dtype=np.float32)
    # Marks belong to the part, whichever side it lies on.
    own = np.asarray((points / scene.radius) @ scene.axes.astype(np.float32), dtype=np.float32)
    marks = material.texture(own, seed)[:, None]
    mirror = ways - 2 * (ways * normals).sum(axis=1, keepdims=True) * normals
    shine = room.mirrored(mirror, material.roughness) * (0.3 + 0.7 * shade)
    cosine = np.clip(-(ways * normals).sum(axis=1, keepdims=True), 0, 1)
    scattered = room.diffuse(normals) * shade + room.key_colour * lamp[:, None]
    if material.metal:
        # Rough metal scatters what it mirrors; a share of it follows the diffuse light.
        share = 0.25 + 0.5 * material.roughness
        return np.asarray(colour * marks * (shine * (1 - share) + scattered * share), dtype=np.float32)
    away = 1 - cosine
    square = away * away
    fresnel = 0.04 + 0.96 * (1 - 0.8 * material.roughness) * square * square * away
    return np.asarray(colour * marks * scattered + fresnel * shine, dtype=np.float32)


def _self_shadow(scene: _Scene, room: Room, points: Floats, mask: npt.NDArray[np.bool_], facing: Floats) -> Floats:
    """Return how much of the key light reaches points (N, 3) of the part, (N,), soft as the lamp is large."""
    view = _lamp_view(scene, room.key)
    depth = window(view.size).draw_deep(scene.part, view, _FLAT)[1]
    depth = np.where(np.isfinite(depth), depth, 10 * scene.radius).astype(np.float32)
    at = _project(view, scene, points)
    back = (scene.axes @ view.back).astype(np.float32)
    own = np.float32(view.distance + view.target @ view.back) - points @ back
    slope = np.sqrt(np.clip(1 - facing * facing, 0, 1)) / np.clip(facing, 0.15, 1)
    bias = np.float32(view.unit) * (1.0 + 1.5 * slope) + np.float32(0.004 * scene.radius)
    free = (_sampled(depth, at, 10 * scene.radius) > own - bias).astype(np.float32)
    # Softened within the part, so that neither the table's light nor its dark creeps in.
    sigma = 0.7 + 10 * room.softness
    sheet, weight = np.zeros(mask.shape, np.float32), mask.astype(np.float32)
    sheet[mask] = free
    even, total = (soft(a, sigma) for a in (sheet, weight))
    return np.asarray((even / np.maximum(total, 1e-3))[mask], dtype=np.float32)


def _crevices(maps: Maps, scene: _Scene, view: View) -> Floats:
    """Return how much of the room's light reaches what is seen (H, W): less where the surroundings are nearer."""
    mask = maps.mask.astype(np.float32)
    near = np.where(maps.mask, maps.near, 0).astype(np.float32)
    shade = np.ones_like(mask)
    for reach, strength in ((0.05, 0.9), (0.2, 0.7)):
        sigma = max(float(reach * scene.radius / view.unit), 0.7)
        mean = soft(near, sigma) / np.maximum(soft(mask, sigma), 1e-3)
        shade -= strength * 0.5 * np.clip((mean - near) / (1.5 * sigma), 0, 1)
    return np.clip(shade, 0.2, 1)


def _exposed(picture: Floats, mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Return the picture (H, W, 3) in [0, 1] as it is displayed, exposed for the middle of what is there."""
    grey = picture[::4, ::4].mean(axis=-1)
    level = 0.5 * float(np.median(grey)) + 0.5 * float(grey[mask[::4, ::4]].mean() if mask[::4, ::4].any() else 0.2)
    light = picture * np.float32(rng.uniform(0.16, 0.34) / max(level, 1e-3))
    # Highlights roll off as on film.
    light = light / (1 + light / 4)
    return np.asarray(np.clip(light * 1.15, 0, 1) ** np.float32(1 / 2.2), dtype=np.float32)


def _something_in_front(
    picture: Floats, mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Lay a finger, a pencil or a sheet over the border; return the picture and where it is (H, W).

    What would hide more than a third of the part is left away.
    """
    size = picture.shape[0]
    side, along = int(rng.integers(4)), float(rng.uniform(0.1, 0.9))
    kind = str(rng.choice(["finger", "pencil", "sheet"]))
    width = {"finger": 0.09, "pencil": 0.025, "sheet": 0.4}[kind] * float(rng.uniform(0.7, 1.4))
    deep = float(rng.uniform(0.08, 0.45 if kind == "pencil" else 0.25))
    lean = float(rng.uniform(-0.8, 0.8)) * deep
    ends = np.array(
        [[along - width, -0.1], [along + width, -0.1], [along + width + lean, deep], [along - width + lean, deep]]
    )
    turned = [ends, np.stack([ends[:, 0], 1 - ends[:, 1]], 1), ends[:, ::-1], np.stack([1 - ends[:, 1], ends[:, 0]], 1)]
    corners = turned[side] * size
    sheet = Pillow.new("L", (size, size), 0)
    pen = ImageDraw.Draw(sheet)
    pen.polygon([(float(x), float(y)) for x, y in corners], fill=255)
    if kind == "finger":
        x, y = corners[2:].mean(axis=0)
        pen.ellipse((x - width * size, y - width * size, x + width * size, y + width * size), fill=255)
    cover = ndimage.gaussian_filter(np.asarray(sheet, dtype=np.float32) / 255, float(rng.uniform(0.6, 3.0)))
    before = cover > 0.5
    if (before & mask).sum() > mask.sum() / 3:
        return picture, np.zeros_like(before)
    tints = {"finger": (0.8, 0.58, 0.47), "pencil": (0.75, 0.6, 0.15), "sheet": (0.93, 0.93, 0.9)}
    colour = np.asarray(tints[kind], dtype=np.float32) * np.float32(rng.uniform(0.35, 1.05))
    # Round things are darker towards their rims.
    round_ = np.clip(soft(cover, width * size / 2) * 1.6, 0.35, 1)[..., None] if kind != "sheet" else 1
    return np.asarray(picture * (1 - cover[..., None]) + colour * round_ * cover[..., None], dtype=np.float32), before


def _shaken(picture: Floats, rng: np.random.Generator) -> Floats:
    """Return the picture blurred along a short line, as by a hand that moves."""
    angle, length = float(rng.uniform(0, math.pi)), float(rng.uniform(1.5, 5)) * picture.shape[0] / 448
    steps = np.linspace(-0.5, 0.5, max(3, round(length) + 1)) * length
    moves = {(round(s * math.sin(angle)), round(s * math.cos(angle))) for s in steps}
    reach = math.ceil(length)
    wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    h, w = picture.shape[:2]
    total = sum(wide[reach + y : reach + y + h, reach + x : reach + x + w] for y, x in sorted(moves))
    return np.asarray(total / len(moves), dtype=np.float32)
