# Waits for ever on a named pipe.
# expect: denied exception timeout
# alone: seccomp
import os

os.mkfifo("pipe")
open("pipe").read()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
