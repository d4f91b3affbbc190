# Changes the times of a file of the user.
# expect: no_result exception denied
# alone: root_fs seccomp
import os

try:
    os.utime("@OUTSIDE@/secret.txt", (1, 1))
    changed = os.stat("@OUTSIDE@/secret.txt").st_mtime == 1
except OSError:
    changed = False
if changed:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
