# Leaves with a failure.
# expect: exception
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)
raise SystemExit(1)
