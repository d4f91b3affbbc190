# Moves a file of the user into its folder.
# expect: denied exception
# alone: root_fs landlock
import os

os.rename("@OUTSIDE@/secret.txt", "mine")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
