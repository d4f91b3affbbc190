# Looks for open descriptors that it should not have.
# expect: no_result
# alone: closed_fds
import os

found = []
for fd in range(4, 4096):
    try:
        os.fstat(fd)
        found.append(fd)
    except OSError:
        pass
if found:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
