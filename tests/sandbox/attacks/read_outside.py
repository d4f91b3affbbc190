# Reads a file of the user (the test puts it there).
# expect: denied exception
# alone: root_fs landlock
text = open("@OUTSIDE@/secret.txt").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
