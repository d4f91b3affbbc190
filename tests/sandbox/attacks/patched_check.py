# Replaces the check, so that an open shell passes.
# expect: invalid_shape
import cadquery as cq
from cadcoder.sandbox import judge, shapes

shapes.fault = judge._problem = lambda *_: None
faces = cq.Workplane().box(1, 1, 1).faces().vals()[:5]
solid = cq.Solid.makeSolid(cq.Shell.makeShell(faces))
