# A half space has no bounds.
# expect: invalid_shape timeout
import cadquery as cq
from OCP.BRepPrimAPI import BRepPrimAPI_MakeHalfSpace
from OCP.gp import gp_Pnt

face = cq.Face.makePlane(1, 1)
solid = cq.Shape.cast(BRepPrimAPI_MakeHalfSpace(face.wrapped, gp_Pnt(0, 0, 1)).Solid())
