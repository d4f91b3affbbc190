# Far beyond every sensible size.
# expect: invalid_shape
import cadquery as cq

solid = cq.Workplane().box(1e30, 1e30, 1e30)
