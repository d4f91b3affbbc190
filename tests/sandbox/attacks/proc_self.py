# Reaches outside by way of its own /proc.
# expect: no_result
# alone: root_fs landlock
import os

reached = []
for name in ("/proc/self/root/etc/passwd", "/proc/self/maps", "/proc/self/environ", "/proc/self/mem", "/proc/mounts"):
    try:
        reached.append(open(name, "rb").read(1))
    except OSError as error:
        if name.endswith("/mem") and error.errno == 5:
            reached.append(name)
for name in ("/proc/self/oom_score_adj", "/proc/self/uid_map"):
    try:
        reached.append(open(name, "r+b"))
    except OSError:
        pass
if reached:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
