# Opens descriptors without end.
# expect: exception denied
# alone: rlimits
import os

kept = [os.dup(0) for _ in range(500)]
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
