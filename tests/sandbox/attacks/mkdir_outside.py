# Makes a folder among the user's.
# expect: denied exception
# alone: root_fs landlock
import os

os.mkdir("@OUTSIDE@/made")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
