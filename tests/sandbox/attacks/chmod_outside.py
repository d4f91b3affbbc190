# Changes the rights of a file of the user.
# expect: no_result exception denied
# alone: root_fs seccomp
import os

try:
    os.chmod("@OUTSIDE@/secret.txt", 0o777)
    changed = os.stat("@OUTSIDE@/secret.txt").st_mode & 0o777 == 0o777
except OSError:
    changed = False
if changed:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
