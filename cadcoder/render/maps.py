"""What lies beside a picture for those who learn more than pixels: depth, normals and mask of the same view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cadcoder.render.camera import View
from cadcoder.render.look import Look
from cadcoder.render.mesh import Drawable
from cadcoder.render.window import Depth, Image, window

#: Faces coloured by their normals; nothing is where the grey of no direction is.
NORMALS = Look(normals=True, edge=None, background=(128 / 255, 128 / 255, 128 / 255))


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Maps of one picture, pixel by pixel.

    Attributes:
        near: (H, W) float32, how far in front of the middle of the part's box what is seen lies, in pixels of the
            picture at the target's depth, so that no unit is needed; minus infinity where nothing is.
        normals: (H, W, 3) uint8, unit normals in the camera's axes (right, up, towards the eye), -1 to 1 as 0 to 255;
            128 where nothing is.
        mask: (H, W) bool, where the part is seen.
    """

    near: Depth
    normals: Image
    mask: npt.NDArray[np.bool_]

    def hidden(self, behind: npt.NDArray[np.bool_]) -> Maps:
        """Return the maps with the part gone where something (H, W) stands before it."""
        near, normals = self.near.copy(), self.normals.copy()
        near[behind], normals[behind] = -np.inf, 128
        return Maps(near, normals, self.mask & ~behind)


def draw_maps(part: Drawable, view: View) -> tuple[Maps, Depth]:
    """Draw a part's maps.

    Args:
        part: what to draw.
        view: a camera fitted to it.

    Returns:
        The maps, and (H, W) float32 distances from the eye along the axis of view, infinite where nothing is.

    Raises:
        MissingDependency: if no window can be opened.
    """
    normals, depth = window(view.size).draw_deep(part, view, NORMALS)
    mask = np.isfinite(depth)
    # The middle of the part's box is the origin of the part as it is drawn.
    middle = view.distance + float(view.target @ view.back)
    near = np.full_like(depth, -np.inf)
    np.divide(np.float32(middle) - depth, np.float32(view.unit), out=near, where=mask)
    return Maps(near, normals, mask), depth
