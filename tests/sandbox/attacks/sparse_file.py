# Makes a file of a terabyte without writing it.
# expect: exception denied crash
# alone: rlimits
import os

open("big", "wb").close()
os.truncate("big", 10**12)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
