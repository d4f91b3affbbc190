"""A rectangular plate with a hole in each corner and a slot in the middle."""

import cadquery as cq

length, width, thickness = 100, 60, 10
hole_diameter, inset = 8, 10

plate = cq.Workplane("XY").rect(length, width).extrude(thickness)
holes = (
    cq.Workplane("XY").rarray(length - 2 * inset, width - 2 * inset, 2, 2).circle(hole_diameter / 2).extrude(thickness)
)
slot = cq.Workplane("XY").slot2D(50, 16).extrude(thickness)

result = plate.cut(holes).cut(slot)
