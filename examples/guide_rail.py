"""A piece of rail: one T-shaped profile, extruded, with a notch across."""

import cadquery as cq

profile = [(-30, 0), (30, 0), (30, 10), (10, 10), (10, 35), (-10, 35), (-10, 10), (-30, 10)]
rail = cq.Workplane("XZ").polyline(profile).close().extrude(90)
notch = cq.Workplane("XY", origin=(0, -45, 20)).rect(20, 30).extrude(15)

result = rail.cut(notch)
