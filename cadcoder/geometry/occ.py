"""OpenCascade at the border: STEP and BREP into shapes, shapes into closed meshes. Imports OCP; import it late."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import manifold3d
import numpy as np
from OCP.Bnd import Bnd_Box
from OCP.BRep import BRep_Builder, BRep_Tool
from OCP.BRepAlgoAPI import BRepAlgoAPI_Common
from OCP.BRepBndLib import BRepBndLib
from OCP.BRepBuilderAPI import BRepBuilderAPI_MakeSolid
from OCP.BRepGProp import BRepGProp
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.BRepTools import BRepTools
from OCP.GProp import GProp_GProps
from OCP.IFSelect import IFSelect_ReturnStatus
from OCP.STEPControl import STEPControl_Reader
from OCP.TopAbs import TopAbs_Orientation, TopAbs_ShapeEnum
from OCP.TopExp import TopExp_Explorer
from OCP.TopLoc import TopLoc_Location
from OCP.TopoDS import TopoDS, TopoDS_Shape

from cadcoder.errors import InputError
from cadcoder.geometry.fallback import solid_or_voxels
from cadcoder.geometry.mesh import solid_from_triangles
from cadcoder.geometry.solid import Solid

#: Largest angle between neighbouring facets, and largest distance from the surface as a fraction of the diagonal:
#: the executor's own, so that a part from a script and the same part from a file have the same mesh.
ANGULAR = 0.1
LINEAR = 5e-4


def read_step(path: str | Path) -> Any:
    """Return the STEP file's shape (``TopoDS_Shape``), in millimetres.

    Raises:
        InputError: if it cannot be read or holds no shape.
    """
    with _quiet():
        reader = STEPControl_Reader()
        if reader.ReadFile(os.fspath(path)) != IFSelect_ReturnStatus.IFSelect_RetDone:
            raise InputError(f"{path}: not a readable STEP file")
        reader.TransferRoots()
        if reader.NbShapes() == 0:
            raise InputError(f"{path}: the STEP file holds no shape")
        return reader.OneShape()


def read_brep(source: str | Path | bytes) -> Any:
    """Return the shape of a BREP file or of its bytes (text form, or the binary form of ``BinTools``).

    Raises:
        InputError: if it cannot be read.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    name = "the BREP data" if isinstance(source, bytes) else str(source)
    shape = TopoDS_Shape()
    if data.lstrip().startswith(b"Open CASCADE Topology"):
        from OCP.BinTools import BinTools

        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.write(data)
            file.flush()
            BinTools.Read_s(shape, file.name)
    elif b"CASCADE Topology" in data[:200]:
        with _quiet():
            BRepTools.Read_s(shape, io.BytesIO(data), BRep_Builder())
    if shape.IsNull():
        raise InputError(f"{name}: not a readable BREP shape")
    return shape


def solids_of(shape: Any) -> list[Any]:
    """Return the shape's solids; closed shells that belong to none are made into solids."""
    found = list(_explore(shape, TopAbs_ShapeEnum.TopAbs_SOLID))
    if not found:
        for shell in _explore(shape, TopAbs_ShapeEnum.TopAbs_SHELL):
            if BRep_Tool.IsClosed_s(shell):
                found.append(BRepBuilderAPI_MakeSolid(TopoDS.Shell_s(shell)).Solid())
    return found


def mesh_shape(shape: Any, angular: float = ANGULAR, linear: float = LINEAR, fallback: bool = False) -> Solid:
    """Tessellate a shape's solids and unite them.

    Args:
        shape: a ``TopoDS_Shape``.
        angular: largest angle between neighbouring facets, in radians.
        linear: largest distance from the true surface, as a fraction of the diagonal of the shape's box.
        fallback: take the voxels of a solid whose mesh does not close (:mod:`~cadcoder.geometry.fallback`).

    Raises:
        InputError: if it holds no solid, or one whose mesh does not close.
    """
    solids = solids_of(shape)
    if not solids:
        raise InputError("the shape holds no solid (only open faces, edges or points)")
    low, high = bounds(shape)
    size = float(np.linalg.norm(high - low))
    if not np.isfinite(size) or size <= 0:
        raise InputError("the shape is empty or has no finite size")
    BRepTools.Clean_s(shape)  # a finer mesh from before would be kept
    parts = []
    for solid in solids:
        BRepMesh_IncrementalMesh(solid, linear * size, False, angular, False)
        vertices, faces = _triangles(solid)
        if len(faces) == 0:
            raise InputError("a solid of the shape could not be tessellated")
        parts.append((solid_or_voxels if fallback else solid_from_triangles)(vertices, faces))
    if len(parts) == 1:
        return parts[0]
    notes = tuple(dict.fromkeys(n for p in parts for n in p.notes))
    united = manifold3d.Manifold.batch_boolean([p.manifold for p in parts], manifold3d.OpType.Add)
    return Solid.from_manifold(united, notes)


def bounds(shape: Any) -> tuple[Any, Any]:
    """Return the lowest and highest corner, (3,) each, of the shape's tight axis-aligned box."""
    box = Bnd_Box()
    BRepBndLib.AddOptimal_s(shape, box, False, False)  # without the slack of Add
    if box.IsVoid():
        return np.zeros(3), np.zeros(3)
    values = np.array(box.Get())
    return values[:3], values[3:]


def volume(shape: Any) -> float:
    """Return the exact volume that the shape encloses."""
    props = GProp_GProps()
    BRepGProp.VolumeProperties_s(shape, props)
    return float(props.Mass())


def exact_iou(a: Any, b: Any) -> float:
    """Return intersection over union of two shapes in place by OpenCascade's boolean: slow, to check ours by."""
    common = BRepAlgoAPI_Common(a, b)
    va, vb = volume(a), volume(b)
    shared = min(max(volume(common.Shape()), 0.0), va, vb)
    return shared / (va + vb - shared)


def _explore(shape: Any, kind: Any) -> Iterator[Any]:
    explorer = TopExp_Explorer(shape, kind)
    while explorer.More():
        yield explorer.Current()
        explorer.Next()


def _triangles(shape: Any) -> tuple[Any, Any]:
    """Return the tessellation's (vertices (V, 3), faces (F, 3)), face by face, not welded."""
    vertices, faces, start = [], [], 0
    for found in _explore(shape, TopAbs_ShapeEnum.TopAbs_FACE):
        if found.Orientation() in (TopAbs_Orientation.TopAbs_INTERNAL, TopAbs_Orientation.TopAbs_EXTERNAL):
            continue  # a sheet that a boolean left hanging in the solid: it bounds nothing
        face = TopoDS.Face_s(found)
        location = TopLoc_Location()
        mesh = BRep_Tool.Triangulation_s(face, location)
        if mesh is None:
            continue
        points = np.array([mesh.Node(i).Coord() for i in range(1, mesh.NbNodes() + 1)])
        triangles = np.array([mesh.Triangle(i).Get() for i in range(1, mesh.NbTriangles() + 1)]) - 1
        if not location.IsIdentity():
            move = location.Transformation()
            matrix = np.array([[move.Value(r, c) for c in range(1, 5)] for r in range(1, 4)])
            points = points @ matrix[:, :3].T + matrix[:, 3]
        if face.Orientation() == TopAbs_Orientation.TopAbs_REVERSED:
            triangles = triangles[:, ::-1]
        vertices.append(points)
        faces.append(triangles + start)
        start += len(points)
    if not faces:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int32)
    return np.concatenate(vertices), np.concatenate(faces)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCascade's own messages, which it writes to file descriptor 1, off the rows and scripts there."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing to protect
        yield
        return
    try:
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
