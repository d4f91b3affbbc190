# A solid made of an open shell.
# expect: invalid_shape
import cadquery as cq

faces = cq.Workplane().box(1, 1, 1).faces().vals()[:5]
solid = cq.Solid.makeSolid(cq.Shell.makeShell(faces))
