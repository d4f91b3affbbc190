"""The volume that two solids share, checked; and IoU from it."""

from __future__ import annotations

import manifold3d

from cadcoder.errors import InputError

#: A shared volume may lie outside [0, the smaller volume] by this fraction of it, from rounding, and no more.
SLACK = 1e-4


class Unsound(InputError):
    """A mesh whose volumes contradict each other: it crosses itself or encloses space twice."""


def shared_volume(a: manifold3d.Manifold, b: manifold3d.Manifold, volume_a: float, volume_b: float) -> float:
    """Return the volume of the intersection, 0 <= I <= min(volume_a, volume_b).

    Raises:
        Unsound: if the boolean's volume lies outside that range by more than rounding.
    """
    smaller = min(volume_a, volume_b)
    shared = float((a ^ b).volume())
    if not -SLACK * smaller <= shared <= (1 + SLACK) * smaller:
        raise Unsound(f"the overlap {shared:.6g} lies outside 0 to {smaller:.6g}: a mesh crosses itself")
    return min(max(shared, 0.0), smaller)


def iou(a: manifold3d.Manifold, b: manifold3d.Manifold, volume_a: float, volume_b: float) -> float:
    """Return I / (Va + Vb - I), in [0, 1].

    Raises:
        Unsound: see :func:`shared_volume`.
    """
    shared = shared_volume(a, b, volume_a, volume_b)
    return shared / (volume_a + volume_b - shared)


def estimated_iou(a: manifold3d.Manifold, b: manifold3d.Manifold, volume_a: float, volume_b: float) -> float:
    """Return the same unchecked: to compare poses by, on simplified meshes, whose facets may cross a little."""
    shared = min(max(float((a ^ b).volume()), 0.0), volume_a, volume_b)
    return shared / (volume_a + volume_b - shared)
