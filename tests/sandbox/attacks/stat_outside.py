# Asks whether a file of the user exists and how long it is.
# expect: exception denied
# alone: root_fs
import os

os.stat("@OUTSIDE@/secret.txt")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
