"""A solid about its centroid, with a radius of gyration of one, in its principal axes: what is left is a rotation."""

from __future__ import annotations

from functools import cached_property

import manifold3d
import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry import rotations as rot
from cadcoder.geometry.solid import FloatArray, Solid
from cadcoder.geometry.voxels import Grid, voxelise

#: Second moments nearer than this (relative) leave the search no axes to go by: it then looks at every angle.
EQUAL = 0.06
#: Second moments nearer than this (relative) are the same number but for rounding.
SAME = 1e-9
#: Cells a side and points of the coarse ranking; it is good to about 0.01 of IoU.
CELLS, POINTS = 40, 6000
#: Tolerance of the light mesh, in radii of gyration; it costs the IoU 0.0002 at most on real parts.
LIGHT = 1e-3


class Posed:
    """A solid moved, scaled and turned into its own frame.

    Attributes:
        axes: (3, 3) proper rotation from the solid's own axes into the principal ones, smallest moment first.
        moments: (3,) second moments over volume, ascending; their sum is one.
        matrix: (4, 4) similarity from the solid as given into the frame.
        solid: the solid there.
    """

    def __init__(self, solid: Solid) -> None:
        """Normalise a solid.

        Raises:
            InputError: if it encloses no volume.
        """
        if not solid.volume > 0:
            raise InputError("the solid encloses no volume")
        scale = 1.0 / solid.gyration
        self.moments, self.axes = principal_axes(solid.second_moment * (scale * scale / solid.volume))
        matrix = np.eye(4)
        matrix[:3, :3] = scale * self.axes
        matrix[:3, 3] = -matrix[:3, :3] @ solid.centroid
        self.matrix: FloatArray = matrix
        self.solid = solid.transformed(matrix)
        self.volume = float(self.solid.volume)

    def key(self) -> tuple[float, ...]:
        """Return numbers to order solids by, whatever their places in a call."""
        numbers = (*np.round(self.moments, 9), float(len(self.solid.faces)), *self.solid.vertices[:4].ravel())
        return (round(self.volume, 9), *(float(n) for n in numbers))

    @cached_property
    def light(self) -> tuple[manifold3d.Manifold, float]:
        """The solid with fewer facets (see ``LIGHT``) and its volume, to compare poses by."""
        made = self.solid.manifold.simplify(LIGHT)
        volume = float(made.volume())
        if made.is_empty() or abs(volume - self.volume) > 0.02 * self.volume:  # thinner than the tolerance
            return self.solid.manifold, self.volume
        return made, volume

    @cached_property
    def grid(self) -> Grid:
        """Coarse occupancy."""
        return voxelise(self.solid.vertices, self.solid.faces, CELLS)

    @cached_property
    def points(self) -> FloatArray:
        """Random points inside, (POINTS, 3), the same for every run."""
        return self.grid.samples(POINTS, np.random.default_rng(0))

    @cached_property
    def flats(self) -> FloatArray:
        """Largest flat directions, (N, 3)."""
        return rot.flat_directions(self.solid)

    @cached_property
    def free_axes(self) -> tuple[int, ...]:
        """Axes about which the principal axes are arbitrary: none, one, or all three."""
        small, middle, large = self.moments
        low, high = middle - small < EQUAL * middle, large - middle < EQUAL * large
        return (0, 1, 2) if low and high else (2,) if low else (0,) if high else ()


def principal_axes(moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (moments (3,) ascending, proper rotation (3, 3) whose rows are the principal axes).

    Each axis points to the side of the coordinate axis nearest to it. Where moments are the same (``SAME``) the axes
    within their plane are no property of the part; those nearest the coordinate axes are taken, so that the answer does
    not hang on rounding.

    Args:
        moment: (3, 3) symmetric, such as the second moment of a solid.
    """
    values, vectors = np.linalg.eigh(moment)
    axes = vectors.T
    low, high = values[1] - values[0] <= SAME * values[1], values[2] - values[1] <= SAME * values[2]
    if low and high:
        return values, np.eye(3)
    if low or high:
        alone = 2 if low else 0
        axis = axes[alone] * (1.0 if axes[alone][np.abs(axes[alone]).argmax()] > 0 else -1.0)
        nearest = np.eye(3)[int(np.abs(axis).argmin())]
        first = nearest - (nearest @ axis) * axis
        first /= np.linalg.norm(first)
        second = np.cross(axis, first)
        return values, np.array([first, second, axis] if low else [axis, first, second])
    axes = axes * np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1) > 0, 1.0, -1.0)
    if np.linalg.det(axes) < 0:
        axes[2] = -axes[2]
    return values, axes
