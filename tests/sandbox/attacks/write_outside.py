# Writes outside its folder.
# expect: denied exception
# alone: root_fs landlock
open("@OUTSIDE@/written.txt", "w").write("x")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
