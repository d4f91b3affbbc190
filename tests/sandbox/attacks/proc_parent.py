# Reads its parent by way of /proc.
# expect: no_result
# alone: root_fs landlock
import os

read = []
for pid in (os.getppid(), 1, 2):
    for name in ("environ", "maps", "cmdline", "mem", "cwd", "root/etc/passwd", "fd"):
        try:
            path = f"/proc/{pid}/{name}"
            read.append(os.listdir(path) if name in ("cwd", "fd") else open(path, "rb").read(1))
        except OSError:
            pass
if read:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
