# Links a file outside into its folder.
# expect: denied exception
# alone: root_fs landlock
import os

os.link("@OUTSIDE@/secret.txt", "link")
text = open("link").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
