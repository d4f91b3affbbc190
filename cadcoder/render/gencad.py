"""Pictures in exactly the look of the GenCAD-Code renders (anniedoris/CAD-Coder), 448x448."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cadcoder.render.camera import GENCAD, Camera, View
from cadcoder.render.look import GENCAD_LOOK, Look
from cadcoder.render.mesh import Drawable, SolidLike, drawable
from cadcoder.render.window import Depth, Image, window

#: Side of a GenCAD picture in pixels.
SIZE = 448


def render_gencad(solid: SolidLike) -> Image:
    """Draw a solid as the GenCAD renders are drawn.

    Orthographic from (1, -1, 1) with z up; the axis-aligned box of the part is fitted to a 4:3 canvas (448x336) in the
    middle of the white square; a light at the camera; black edges one pixel wide, not antialiased.

    Args:
        solid: vertices (V, 3) and faces (F, 3).

    Returns:
        (448, 448, 3) uint8.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    # Nothing is drawn outside the canvas: only its rows are rendered, which saves a quarter of the time.
    rows = SIZE * 3 // 4
    picture = np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)
    edge = (SIZE - rows) // 2
    part, view = _front(solid, (SIZE, rows))
    picture[edge : edge + rows] = window((SIZE, rows), GENCAD_LOOK.antialias).draw(part, view, GENCAD_LOOK)
    return picture


def render_gencad_deep(solid: SolidLike) -> tuple[Image, Depth]:
    """Draw a solid as :func:`render_gencad` does, and tell how near what is seen is.

    Args:
        solid: vertices (V, 3) and faces (F, 3).

    Returns:
        The picture (448, 448, 3) uint8, and (448, 448) float32: how far in front of the middle of the part's box what
        is seen lies, in pixels of the picture, so that no unit is needed; minus infinity where nothing is.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    rows = SIZE * 3 // 4
    picture = np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)
    near = np.full((SIZE, SIZE), -np.inf, dtype=np.float32)
    edge = (SIZE - rows) // 2
    part, view = _front(solid, (SIZE, rows))
    image, depth = window((SIZE, rows), GENCAD_LOOK.antialias).draw_deep(part, view, GENCAD_LOOK)
    picture[edge : edge + rows] = image
    # The box's middle is the origin of the part as it is drawn; its distance from the eye is that along the axis.
    middle = view.distance + float(view.target @ view.back)
    np.multiply(np.float32(middle) - depth, np.float32(1 / view.unit), out=near[edge : edge + rows])
    return picture, near


def _front(solid: SolidLike, size: tuple[int, int]) -> tuple[Drawable, View]:
    """Return the part to draw and its view, without the triangles that face away where others must hide them.

    That is so for the solids that our own kernel built, which are closed and outward; it halves the time of drawing.
    """
    part = drawable(solid, smooth=GENCAD_LOOK.smooth)
    view = GENCAD.view(part.low, part.points, size)
    if getattr(solid, "surfaces", None) is None:
        return part, view
    corners = part.corners.reshape(-1, 3, 3)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x, y, z = view.back
    facing = x * (a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1])
    facing += y * (a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2])
    facing += z * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    keep = np.repeat(facing > 0, 3)
    return replace(part, corners=part.corners[keep], normals=part.normals[keep]), view


def render_view(
    solid: SolidLike, camera: Camera = GENCAD, look: Look = GENCAD_LOOK, size: int | tuple[int, int] = SIZE
) -> Image:
    """Draw a solid from one view.

    Args:
        solid: vertices (V, 3) and faces (F, 3).
        camera: where from.
        look: how.
        size: side of the square picture, or (width, height).

    Returns:
        (height, width, 3) uint8.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    return render_views(solid, [camera], look, size)[0]


def render_views(
    solid: SolidLike, cameras: Sequence[Camera], look: Look = GENCAD_LOOK, size: int | tuple[int, int] = SIZE
) -> list[Image]:
    """Draw a solid from several views, as :func:`render_view` draws each: it is made ready only once.

    Args:
        solid: vertices (V, 3) and faces (F, 3).
        cameras: where from.
        look: how.
        size: side of the square pictures, or (width, height).

    Returns:
        A picture (height, width, 3) uint8 for each camera.

    Raises:
        InputError: if the solid is empty or not finite.
        MissingDependency: if no window can be opened.
    """
    shape = (size, size) if isinstance(size, int) else size
    part = drawable(solid, smooth=look.smooth)
    canvas = window(shape, look.antialias)
    return [canvas.draw(part, camera.view(part.low, part.points, shape), look) for camera in cameras]
