"""A bracket: a base plate with two screw holes and an upright with a bore."""

import cadquery as cq

length, width, height = 80, 40, 50
thickness = 8

base = cq.Workplane("XY").rect(length, width).extrude(thickness)
base = base.faces(">Z").workplane().pushPoints([(-28, -6), (28, -6)]).hole(9)

upright = (
    cq.Workplane("XZ", origin=(0, width / 2, 0))
    .moveTo(-20, 0)
    .lineTo(20, 0)
    .lineTo(20, height - 20)
    .threePointArc((0, height), (-20, height - 20))
    .close()
    .extrude(thickness)
)
bore = cq.Workplane("XZ", origin=(0, width / 2, 0)).center(0, height - 20).circle(10).extrude(thickness)

result = base.union(upright).cut(bore)
