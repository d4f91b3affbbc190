# Reads what was left open by its parents.
# expect: no_result exception denied
# alone: closed_fds
import os

found = b""
for fd in range(4, 1024):
    try:
        found += os.pread(fd, 100, 0)
    except OSError:
        pass
if b"secret" in found:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
