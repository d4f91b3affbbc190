# Reaches a file outside through a symbolic link.
# expect: denied exception
# alone: root_fs landlock
import os

os.symlink("@OUTSIDE@/secret.txt", "link")
text = open("link").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
