"""A picture that shows how a script came about: the input, the first guess, the final part, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program.parse import parse
from cadcoder.render.camera import Camera
from cadcoder.render.compare import compare, draw_part
from cadcoder.render.look import GENCAD_LOOK
from cadcoder.render.mesh import SolidLike, drawable
from cadcoder.render.observe import Observation, observe
from cadcoder.render.window import window

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.refine.poses import Guess

#: Width and height of a panel in pixels, the line of text above it, and the border around it.
PANEL, CAPTION, BORDER = (400, 300), 26, 8
#: Edges nearer to each other than this (pixels of a panel) agree.
NEAR = 3.0
#: Colours of what is in both, in the picture alone and in the part alone: first areas, then edges.
AREAS = ((214, 214, 214), (255, 180, 170), (170, 200, 255))
EDGES = ((40, 40, 40), (214, 40, 40), (30, 80, 220))


def explain(
    images: Sequence[Image.Image],
    final: SolidLike,
    cameras: Sequence[Camera],
    first: Guess | None = None,
    origin: str = "",
) -> Image.Image:
    """Return a sheet with a row a picture: input, first guess, final part, differences.

    In the last one, what the picture alone shows is red, what the part alone shows is blue.

    Args:
        images: the pictures of the part.
        final: the part.
        cameras: where each picture was taken from.
        first: what the part was fitted from.
        origin: what to call that.
    """
    from PIL import Image as Pillow

    rows = [
        _row(image, i, final, camera, first, origin)
        for i, (image, camera) in enumerate(zip(images, cameras, strict=True))
    ]
    width, height = PANEL[0] + BORDER, PANEL[1] + CAPTION + BORDER
    sheet = Pillow.new("RGB", (4 * width + BORDER, len(rows) * height + BORDER), "white")
    for r, row in enumerate(rows):
        for c, (title, panel) in enumerate(row):
            _paste(sheet, (BORDER + c * width, BORDER + r * height), title, panel)
    return sheet


def _row(
    image: Image.Image, index: int, final: SolidLike, camera: Camera, first: Guess | None, origin: str
) -> list[tuple[str, Any]]:
    seen = observe(image, size=PANEL)
    end, alike = _drawn(final, seen, camera)
    panels: list[tuple[str, Any]] = [(f"picture {index + 1}", _fitted(image))]
    begun = _solid(first.code) if first else None
    if first and begun is not None:
        picture, before = _drawn(begun, seen, first.cameras[index])
        panels.append((f"first guess ({origin}), likeness {before:.3f}", picture))
    else:
        panels.append(("no first guess", np.full((PANEL[1], PANEL[0], 3), 255, np.uint8)))
    panels.append((f"final, likeness {alike:.3f}", end))
    panels.append(("red: picture alone, blue: part alone", _differences(final, seen, camera)))
    return panels


def _solid(code: str) -> SolidLike | None:
    """Return what a script builds, with the surfaces that a drawing needs; None where it is no program."""
    try:
        return build(parse(code))
    except InputError:
        return None


def _drawn(solid: SolidLike, seen: Observation, camera: Camera) -> tuple[npt.NDArray[np.uint8], float]:
    """Return a solid as a picture shows it, and how alike the two are."""
    posed = replace(seen, camera=camera)
    part = drawable(solid, seams=seen.seams)
    picture = window(PANEL).draw(part, camera.view(part.low, part.points, PANEL), GENCAD_LOOK)
    return picture, compare(posed, draw_part(part, posed)).total


def _differences(solid: SolidLike, seen: Observation, camera: Camera) -> npt.NDArray[np.uint8]:
    posed = replace(seen, camera=camera)
    drawn = draw_part(drawable(solid, seams=seen.seams), posed)
    sheet = np.full((*seen.mask.shape, 3), 255, np.uint8)
    areas = (seen.mask & drawn.mask, seen.mask & ~drawn.mask, drawn.mask & ~seen.mask)
    for area, colour in zip(areas, AREAS, strict=True):
        sheet[area] = colour
    # On the silhouette's border edges do not count: the areas tell.
    ours, theirs = (_spots(edges.points[edges.weights > 0.5], sheet.shape[:2]) for edges in (drawn, seen))
    far_ours, far_theirs = (ndimage.distance_transform_edt(~spots) > NEAR for spots in (ours, theirs))
    sheet[(ours & ~far_theirs) | (theirs & ~far_ours)] = EDGES[0]
    sheet[ndimage.binary_dilation(theirs & far_ours)] = EDGES[1]
    sheet[ndimage.binary_dilation(ours & far_theirs)] = EDGES[2]
    return sheet


def _spots(points: npt.NDArray[np.intp], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    spots = np.zeros(shape, dtype=bool)
    spots[tuple(points.T)] = True
    return spots


def _fitted(image: Image.Image) -> Image.Image:
    """Return a picture made to fit a panel."""
    from PIL import ImageOps

    return ImageOps.pad(image.convert("RGB"), PANEL, color="white")


def _paste(sheet: Image.Image, at: tuple[int, int], title: str, panel: Any) -> None:
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    picture = panel if isinstance(panel, Pillow.Image) else Pillow.fromarray(panel)
    sheet.paste(picture, (at[0], at[1] + CAPTION))
    pen = ImageDraw.Draw(sheet)
    pen.text((at[0] + 2, at[1] + 4), title, fill="black", font=ImageFont.load_default(15))
    pen.rectangle((at[0], at[1] + CAPTION, at[0] + PANEL[0] - 1, at[1] + CAPTION + PANEL[1] - 1), outline=(200,) * 3)
