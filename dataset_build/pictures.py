"""The pictures of one part: which families, from which views, and the maps beside them.

The first picture of a sample is its ``image``; all others are in ``images``, and ``views`` names them all in order.
Whatever is random comes from the set's seed and the part's number, so that neither the number of workers nor a restart
changes a byte.

===========  ======================================================================================  ==========
family       pictures                                                                                side, px
===========  ======================================================================================  ==========
``gencad``   ``gencad``: one isometric view, as the GenCAD renders are                               448
``gencad5``  ``gencad`` and ``gencad-scaled-1`` to ``-4``: the same view, the part smaller           448
``cadbench`` ``corner+++`` to ``corner---`` (signs of x, y, z), and ``grid``: four views in one      448, 268
``photo``    ``photo``: a photograph on a table or in a workshop                                     448
``lines``    ``lines``: black lines on white from the view of ``gencad``                             448
``sketch``   ``sketch``: drawn by hand                                                               448
===========  ======================================================================================  ==========
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cadcoder.geometry.solid import Solid
from cadcoder.render.backdrop import jpeg_file
from cadcoder.render.camera import CAMERAS, GENCAD, Camera, random_camera
from cadcoder.render.gencad import SIZE, render_gencad_deep, render_view, render_views
from cadcoder.render.look import GENCAD_LOOK
from cadcoder.render.maps import Maps, draw_maps
from cadcoder.render.mesh import drawable
from cadcoder.render.sketch import sketch
from cadcoder.render.window import Depth, Image
from dataset_build.depth import encode
from dataset_build.png import png
from dataset_build.wish import FAMILIES, MAPS, Wish

#: Black lines on white.
LINES = replace(GENCAD_LOOK, ambient=1.0, ambient_colour=None, diffuse=0.0, antialias=4)
#: The eight isometric corners.
CORNERS = tuple(f"corner{x}{y}{z}" for x, y, z in itertools.product("+-", repeat=3))
#: Views of cadrille's grid (Kolodiazhnyi et al., 2025), row by row: no two of them are opposite.
GRID = ("corner+++", "corner---", "corner-+-", "corner+--")
#: Side of one picture of the grid and of the black frame around it, in pixels.
CELL, FRAME = 128, 3
#: A scaled picture shows the part at a size drawn from one of four equal bands between these.
SCALED = (0.4, 0.95)

#: JPEG quality of sketches: what they have lost to JPEG before is not lost again.
PAPER_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of one part: JPEG files of photographs and sketches, else PNG files.

    Attributes:
        image: the first.
        images: all others.
        views: a name for each, ``image`` first.
        depth: coarse depth of ``image`` (:mod:`dataset_build.depth`), None where it is not in the GenCAD frame.
        maps: by the column's name; see :func:`pack`.
    """

    image: bytes
    images: tuple[bytes, ...]
    views: tuple[str, ...]
    depth: bytes | None
    maps: dict[str, bytes]


def draw(solid: Solid, wish: Wish, number: int) -> Pictures:
    """Draw a part.

    Args:
        solid: the part.
        wish: what to draw; at least one family.
        number: of the part within its set.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    found: list[tuple[str, bytes]] = []
    depth: bytes | None = None
    beside: Maps | None = None
    mapped = "photo" if "photo" in wish.families else wish.families[0] if wish.families else ""
    for family in wish.families:
        rng = np.random.default_rng([wish.seed, number, FAMILIES.index(family)])
        maps = bool(wish.maps) and family == mapped
        for view in _DRAW[family](solid, rng, maps):
            found.append((view.name, view.image if isinstance(view.image, bytes) else png(view.image)))
            depth = png(encode(view.near)) if view.near is not None and len(found) == 1 else depth
            beside = view.maps if view.maps is not None else beside
    packed = pack(beside) if beside is not None else {}
    return Pictures(
        image=found[0][1],
        images=tuple(data for _, data in found[1:]),
        views=tuple(name for name, _ in found),
        depth=depth,
        maps={MAPS[name]: packed[name] for name in wish.maps},
    )


def pack(maps: Maps) -> dict[str, bytes]:
    """Return maps as PNG files.

    ``depth``: 16 bits, 0 where nothing is, else 32768 plus 32 for each pixel that what is seen lies in front of the
    middle of the part's box. ``normal``: the camera's right, up and towards the eye in red, green and blue, -1 to 1
    as 0 to 255. ``mask``: 255 where the part is seen.
    """
    levels = np.clip(np.round(np.where(maps.mask, maps.near, 0) * 32) + 32768, 1, 65535)
    return {
        "depth": png(np.where(maps.mask, levels, 0).astype(np.uint16)[:, :, None]),
        "normal": png(maps.normals),
        "mask": png((maps.mask * np.uint8(255))[:, :, None]),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    name: str
    image: Image | bytes
    near: Depth | None = None
    maps: Maps | None = None


def _maps(solid: Solid, camera: Camera) -> Maps:
    part = drawable(solid, seams=False)
    return draw_maps(part, camera.view(part.low, part.points, (SIZE, SIZE)))[0]


def _gencad(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    image, near = render_gencad_deep(solid)
    yield _View("gencad", image, near, _maps(solid, GENCAD) if maps else None)


def _gencad5(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    yield from _gencad(solid, rng, maps)
    low, high = SCALED
    scales = [low + (high - low) * (k + float(rng.uniform())) / 4 for k in rng.permutation(4)]
    cameras = [replace(GENCAD, margin=0.5 - (0.5 - GENCAD.margin) * s) for s in scales]
    for k, image in enumerate(render_views(solid, cameras), start=1):
        yield _View(f"gencad-scaled-{k}", image)


def _cadbench(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    for name, image in zip(CORNERS, render_views(solid, [CAMERAS[n] for n in CORNERS]), strict=True):
        yield _View(name, image, maps=_maps(solid, CAMERAS[name]) if maps and name == CORNERS[0] else None)
    cells = [replace(CAMERAS[n], aspect=None) for n in GRID]
    framed = [np.pad(i, ((FRAME, FRAME), (FRAME, FRAME), (0, 0))) for i in render_views(solid, cells, size=CELL)]
    yield _View("grid", np.vstack([np.hstack(framed[:2]), np.hstack(framed[2:])]))


def _photo(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    from cadcoder.render.staged import shoot

    shot = shoot(solid, rng, size=SIZE)
    yield _View("photo", shot.file, maps=shot.maps if maps else None)


def _lines(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    yield _View("lines", render_view(solid, GENCAD, LINES), maps=_maps(solid, GENCAD) if maps else None)


def _sketch(solid: Solid, rng: np.random.Generator, maps: bool) -> Iterator[_View]:
    camera = GENCAD if rng.random() < 0.5 else random_camera(rng, perspective=False)
    image = jpeg_file(sketch(solid, rng, size=SIZE, camera=camera), PAPER_QUALITY)
    yield _View("sketch", image, maps=_maps(solid, camera) if maps else None)


_DRAW = {
    "gencad": _gencad,
    "gencad5": _gencad5,
    "cadbench": _cadbench,
    "photo": _photo,
    "lines": _lines,
    "sketch": _sketch,
}
