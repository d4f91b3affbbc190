# Keeps a file in memory where no limit of files counts it.
# expect: denied exception
# alone: seccomp
import os

os.memfd_create("hidden")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
