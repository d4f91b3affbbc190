# Is no Python.
# expect: syntax_error
import cadquery as cq

solid = cq.Workplane(.box(1, 1, 1)
