"""IoU_best by OpenCascade on exact faces: the slow path that the fast one is checked against. Imports OCP."""

from __future__ import annotations

from typing import Any

import numpy as np
from OCP.BRepBuilderAPI import BRepBuilderAPI_Transform
from OCP.BRepGProp import BRepGProp
from OCP.gp import gp_Trsf
from OCP.GProp import GProp_GProps

from cadcoder.errors import InputError
from cadcoder.geometry.occ import exact_iou
from cadcoder.geometry.posed import principal_axes
from cadcoder.geometry.rotations import half_turns
from cadcoder.geometry.solid import FloatArray


def exact_best(a: Any, b: Any) -> float:
    """Return IoU_best of two ``TopoDS_Shape`` by exact moments, exact faces and four booleans. In [0, 1].

    The definition is that of :func:`~cadcoder.geometry.metrics.iou_best`; it takes about 0.1 s a pair.

    Raises:
        InputError: if either encloses no volume.
    """
    pose, target = _pose(a), _moved(b, _pose(b))
    best = 0.0
    for turn in half_turns():
        m = np.eye(4)
        m[:3, :3] = turn
        best = max(best, exact_iou(_moved(a, m @ pose), target))
    return best


def _pose(shape: Any) -> FloatArray:
    """Return the similarity (4, 4) into the shape's principal axes with a radius of gyration of one."""
    props = GProp_GProps()
    BRepGProp.VolumeProperties_s(shape, props)
    volume, centre, tensor = props.Mass(), props.CentreOfMass(), props.MatrixOfInertia()
    if not volume > 0:
        raise InputError("the shape encloses no volume")
    inertia = np.array([[tensor.Value(i, j) for j in (1, 2, 3)] for i in (1, 2, 3)])
    second = np.trace(inertia) / 2 * np.eye(3) - inertia  # the integral of x x^T
    scale = float(np.sqrt(volume / np.trace(second)))
    m = np.eye(4)
    m[:3, :3] = scale * principal_axes(second * scale * scale / volume)[1]
    m[:3, 3] = -m[:3, :3] @ np.array([centre.X(), centre.Y(), centre.Z()])
    return m


def _moved(shape: Any, matrix: FloatArray) -> Any:
    t = gp_Trsf()
    t.SetValues(*(float(v) for v in matrix[:3].ravel()))
    return BRepBuilderAPI_Transform(shape, t, True).Shape()
