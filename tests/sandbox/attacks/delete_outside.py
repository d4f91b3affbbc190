# Deletes a file outside its folder.
# expect: denied exception
# alone: root_fs landlock
import os

os.remove("@OUTSIDE@/secret.txt")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
