# Starts one process.
# expect: denied
# alone: seccomp
import os

if os.fork() == 0:
    os._exit(0)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
