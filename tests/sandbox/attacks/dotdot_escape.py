# Climbs out of its folder.
# expect: denied exception
# alone: root_fs landlock
text = open("../" * 20 + "@OUTSIDE@/secret.txt").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
