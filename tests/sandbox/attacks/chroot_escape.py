# Changes the root to climb out of it.
# expect: denied exception
# alone: capabilities seccomp
import os

os.mkdir("jail")
os.chroot("jail")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
