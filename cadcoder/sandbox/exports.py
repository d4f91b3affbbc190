"""Files that FreeCAD and mesh viewers open, written in the judge's working folder and returned as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMES = ("step", "stl", "glb")


def step(shape: Any) -> bytes:
    """STEP AP214 in millimetres (ISO 10303-21), with the exact surfaces."""
    from OCP.IFSelect import IFSelect_ReturnStatus
    from OCP.Interface import Interface_Static
    from OCP.STEPControl import STEPControl_StepModelType, STEPControl_Writer

    writer = STEPControl_Writer()
    Interface_Static.SetIVal_s("write.surfacecurve.mode", 1)
    Interface_Static.SetCVal_s("write.step.unit", "MM")
    writer.Transfer(shape, STEPControl_StepModelType.STEPControl_AsIs)
    if writer.Write("out.step") != IFSelect_ReturnStatus.IFSelect_RetDone:
        raise RuntimeError("the STEP writer failed")
    return Path("out.step").read_bytes()


def stl(shape: Any) -> bytes:
    """Binary STL of a tessellated shape."""
    from OCP.StlAPI import StlAPI_Writer

    writer = StlAPI_Writer()
    writer.ASCIIMode = False
    if not writer.Write(shape, "out.stl"):
        raise RuntimeError("the STL writer failed")
    return Path("out.stl").read_bytes()


def glb(shape: Any) -> bytes:
    """Binary glTF 2.0 of a tessellated shape: y up, metres, normals of the exact surfaces, one grey material."""
    import cadquery as cq
    from OCP.Message import Message_ProgressRange
    from OCP.RWGltf import RWGltf_CafWriter
    from OCP.RWMesh import RWMesh_CoordinateSystem
    from OCP.TCollection import TCollection_AsciiString
    from OCP.TColStd import TColStd_IndexedDataMapOfStringString

    part = cq.Assembly(cq.Shape.cast(shape), name="part", color=cq.Color(0.62, 0.65, 0.69))
    # The shape carries its triangles, so the (coarse) tolerances here never come to work.
    _, document = cq.occ_impl.assembly.toCAF(part, True, False)
    writer = RWGltf_CafWriter(TCollection_AsciiString("out.glb"), True)
    converter = writer.ChangeCoordinateSystemConverter()
    converter.SetInputLengthUnit(0.001)
    converter.SetInputCoordinateSystem(RWMesh_CoordinateSystem.RWMesh_CoordinateSystem_Zup)
    if not writer.Perform(document, TColStd_IndexedDataMapOfStringString(), Message_ProgressRange()):
        raise RuntimeError("the GLB writer failed")
    return Path("out.glb").read_bytes()
