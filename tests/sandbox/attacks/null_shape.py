# Hands OpenCascade a null shape.
# expect: exception crash invalid_shape
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.TopoDS import TopoDS_Face

BRepMesh_IncrementalMesh(TopoDS_Face(), 0.1)
from OCP.BRep import BRep_Tool

BRep_Tool.Surface_s(TopoDS_Face())
raise ValueError
