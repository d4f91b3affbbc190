# Puts itself before every other process.
# expect: no_result
# alone: user_ns capabilities seccomp
import os

try:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    done = True
except OSError:
    done = False
if done:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
