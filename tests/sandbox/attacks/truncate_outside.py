# Empties a file of the user.
# expect: denied exception
# alone: root_fs landlock
import os

os.truncate("@OUTSIDE@/secret.txt", 0)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
