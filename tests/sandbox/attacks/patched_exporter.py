# Replaces the writer of its geometry by one that writes something else.
# expect: invalid_shape crash exception
import cadquery as cq
from cadcoder.sandbox import shapes

shapes.write_brep = lambda shape: b"DBRep_DrawableShape\n\nCASCADE Topology V1\nLocations 0\n"
solid = cq.Workplane().box(1, 1, 1)
