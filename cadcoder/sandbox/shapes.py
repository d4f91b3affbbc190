"""What the children ask OpenCascade: solids, validity, volume, bounds, BREP bytes, triangles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from OCP.Bnd import Bnd_Box
from OCP.BRep import BRep_Builder, BRep_Tool
from OCP.BRepBndLib import BRepBndLib
from OCP.BRepCheck import BRepCheck_Analyzer, BRepCheck_Status
from OCP.BRepGProp import BRepGProp
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.BRepTools import BRepTools
from OCP.GProp import GProp_GProps
from OCP.IMeshTools import IMeshTools_MeshAlgoType, IMeshTools_Parameters
from OCP.TopAbs import (
    TopAbs_EDGE,
    TopAbs_FACE,
    TopAbs_Orientation,
    TopAbs_ShapeEnum,
    TopAbs_SHELL,
    TopAbs_SOLID,
    TopAbs_VERTEX,
    TopAbs_WIRE,
)
from OCP.TopExp import TopExp_Explorer
from OCP.TopLoc import TopLoc_Location
from OCP.TopoDS import TopoDS, TopoDS_Compound, TopoDS_Shape
from OCP.TopTools import TopTools_FormatVersion

# Chord error of the triangles as a share of the diagonal, and the largest angle between neighbours, in radians.
DEFLECTION = 5e-4
ANGLE = 0.1
# Points of two faces closer than this share of the diagonal are one vertex; on a shared edge they are equal but for
# rounding.
_WELD = 1e-7
# A direction that no edge of a part is at right angles to, but by accident.
_DIRECTION = np.array([0.541196, 0.306563, 0.783067])


def read_brep(data: bytes) -> Any:
    """The shape in text BREP bytes; a null shape where OpenCascade cannot read them."""
    shape = TopoDS_Shape()
    BRepTools.Read_s(shape, BytesIO(data), BRep_Builder())
    return shape


def write_brep(shape: Any) -> bytes:
    """A shape as text BREP bytes without triangles."""
    stream = BytesIO()
    BRepTools.Write_s(shape, stream, False, False, TopTools_FormatVersion.TopTools_FormatVersion_VERSION_1)
    return stream.getvalue()


def explore(shape: Any, kind: TopAbs_ShapeEnum) -> Iterator[Any]:
    """The sub-shapes of one kind, each as often as it occurs."""
    explorer = TopExp_Explorer(shape, kind)
    while explorer.More():
        yield explorer.Current()
        explorer.Next()


def solids_of(shape: Any) -> list[Any]:
    """The solids in a shape, however deep in compounds; none for a null shape."""
    return [] if shape.IsNull() else list(explore(shape, TopAbs_SOLID))


def compound(shapes: Sequence[Any]) -> Any:
    """Several shapes as one."""
    result = TopoDS_Compound()
    builder = BRep_Builder()
    builder.MakeCompound(result)
    for shape in shapes:
        builder.Add(result, shape)
    return result


def volume(shape: Any) -> float:
    """Signed volume in the shape's unit cubed."""
    properties = GProp_GProps()
    BRepGProp.VolumeProperties_s(shape, properties)
    return float(properties.Mass())


def bounds(shape: Any) -> tuple[float, ...]:
    """``(xmin, ymin, zmin, xmax, ymax, zmax)`` of the exact surfaces, without tolerances."""
    box = Bnd_Box()
    BRepBndLib.AddOptimal_s(shape, box, False, False)
    box.SetGap(0.0)
    return tuple(float(value) for value in box.Get())


def fault(solid: Any) -> str | None:
    """Why OpenCascade's checker finds a solid invalid, or None for a valid, closed one."""
    if not all(BRep_Tool.IsClosed_s(shell) for shell in explore(solid, TopAbs_SHELL)):
        return "its shell is open"
    analyzer = BRepCheck_Analyzer(solid)
    if analyzer.IsValid():
        return None
    for kind in (TopAbs_VERTEX, TopAbs_EDGE, TopAbs_WIRE, TopAbs_FACE, TopAbs_SHELL, TopAbs_SOLID):
        for part in explore(solid, kind):
            for status in analyzer.Result(part).Status():
                if status != BRepCheck_Status.BRepCheck_NoError:
                    return str(status.name).removeprefix("BRepCheck_")
    return "unknown fault"


def tessellate(shape: Any, diagonal: float, careful: bool = False) -> None:
    """Attach triangles to every face.

    Args:
        shape: Any shape.
        diagonal: Its size, of which the triangles may miss ``DEFLECTION``.
        careful: Use OpenCascade's default algorithm in place of Delabella, which makes the same triangles three times
            as fast, but leaves some faces (extruded splines among them) without any and does not say so.
    """
    kinds = IMeshTools_MeshAlgoType
    parameters = IMeshTools_Parameters()
    parameters.Deflection = DEFLECTION * diagonal
    parameters.Angle = ANGLE
    parameters.Relative = False
    parameters.InParallel = False
    parameters.MeshAlgo = kinds.IMeshTools_MeshAlgoType_Watson if careful else kinds.IMeshTools_MeshAlgoType_Delabella
    BRepTools.Clean_s(shape)
    BRepMesh_IncrementalMesh(shape, parameters)


def closed(faces: npt.NDArray[np.int32]) -> bool:
    """Whether every edge of triangles (F, 3) has its opposite: a closed surface, the same side out everywhere."""
    first, second = faces.astype(np.int64).ravel(), np.roll(faces, -1, axis=1).astype(np.int64).ravel()
    count = int(faces.max(initial=0)) + 1
    return np.array_equal(np.sort(first * count + second), np.sort(second * count + first))


def mesh_arrays(shape: Any, diagonal: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """The triangles of a tessellated shape, with the faces' points along shared edges joined.

    Returns:
        Vertices (V, 3) float64 and triangles (F, 3) int32, counter-clockwise seen from outside.
    """
    points: list[tuple[float, float, float]] = []
    triangles: list[tuple[int, int, int]] = []
    for face in explore(shape, TopAbs_FACE):
        if face.Orientation() not in (TopAbs_Orientation.TopAbs_FORWARD, TopAbs_Orientation.TopAbs_REVERSED):
            continue  # an internal or external face bounds nothing
        location = TopLoc_Location()
        mesh = BRep_Tool.Triangulation_s(TopoDS.Face_s(face), location)
        if mesh is None:
            continue
        start = len(points) - 1  # OpenCascade counts from 1
        move = None if location.IsIdentity() else location.Transformation()
        for index in range(1, mesh.NbNodes() + 1):
            point = mesh.Node(index)
            if move is not None:
                point = point.Transformed(move)
            points.append(point.Coord())
        flip = face.Orientation() == TopAbs_Orientation.TopAbs_REVERSED
        for triangle in mesh.Triangles():
            a, b, c = triangle.Get()
            triangles.append((start + a, start + c, start + b) if flip else (start + a, start + b, start + c))
    return _weld(
        np.array(points, dtype=np.float64).reshape(-1, 3),
        np.array(triangles, dtype=np.int32).reshape(-1, 3),
        _WELD * diagonal,
    )


def _weld(
    points: npt.NDArray[np.float64], triangles: npt.NDArray[np.int32], tolerance: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Give points within ``tolerance`` one number and drop the triangles that this makes empty."""
    if not len(points):
        return points, triangles
    root = _joined(points, tolerance)
    used, number = np.unique(root, return_inverse=True)
    joined = number[triangles]
    a, b, c = joined.T
    proper = (a != b) & (b != c) & (c != a)
    return points[used], joined[proper].astype(np.int32)


def _joined(points: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.int64]:
    """For each point the first one that it is joined to by steps of at most ``tolerance``.

    Equal points are neighbours in the order along any direction, and along an odd one hardly any others come between
    them. (A k-d tree does the same, but scipy costs every fork two milliseconds.)
    """
    order = np.argsort(points @ _DIRECTION, kind="stable")
    along = (points @ _DIRECTION)[order]
    # Points in one run may be one; those in different runs are further apart than the tolerance.
    starts = np.flatnonzero(np.diff(along, prepend=-np.inf) > tolerance)
    ends = np.append(starts[1:], len(points))
    root = np.arange(len(points))
    sizes = ends - starts
    first = np.repeat(order[starts], sizes)
    gaps = np.linalg.norm(points[order] - points[first], axis=1)
    spread = np.maximum.reduceat(gaps, starts)
    together = np.repeat(spread <= tolerance, sizes)
    lowest = np.minimum.reduceat(order, starts)
    root[order[together]] = np.repeat(lowest, sizes)[together]
    for start, end in zip(starts[spread > tolerance], ends[spread > tolerance], strict=True):
        _join_run(root, np.sort(order[start:end]), points, tolerance)
    return root


def _join_run(
    root: npt.NDArray[np.int64], members: npt.NDArray[np.int64], points: npt.NDArray[np.float64], tolerance: float
) -> None:
    """Join the points of one run pair by pair."""
    for place, low in enumerate(members):
        others = members[place + 1 :]
        near = others[np.linalg.norm(points[others] - points[low], axis=1) <= tolerance]
        for high in near:
            first, second = sorted((_find(root, int(low)), _find(root, int(high))))
            root[second] = first
    for member in members:
        root[member] = _find(root, int(member))


def _find(root: npt.NDArray[np.int64], index: int) -> int:
    while root[index] != index:
        root[index] = root[root[index]]
        index = int(root[index])
    return index
