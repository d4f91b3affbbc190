# A face is no solid.
# expect: invalid_shape
import cadquery as cq

solid = cq.Workplane().add(cq.Face.makePlane(1, 1))
