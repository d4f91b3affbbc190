# Lists a folder of the user.
# expect: denied exception
# alone: root_fs landlock
import os

names = os.listdir("@OUTSIDE@")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
