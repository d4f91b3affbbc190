# Reads a system file.
# expect: denied exception
# alone: root_fs landlock
text = open("/etc/passwd").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
