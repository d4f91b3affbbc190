# Moves a file of its own over one of the user's.
# expect: denied exception
# alone: root_fs landlock
import os

open("own", "w").close()
os.replace("own", "@OUTSIDE@/secret.txt")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
