"""A spacer: a wide flange with a narrower collar and one bore through both."""

import cadquery as cq

flange = cq.Workplane("XY").circle(40).circle(16).extrude(12)
collar = cq.Workplane("XY", origin=(0, 0, 12)).circle(25).circle(16).extrude(20)

result = flange.union(collar)
