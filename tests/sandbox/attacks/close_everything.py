# Closes every descriptor, its answer's too.
# expect: crash
import os

os.closerange(0, 64)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)
