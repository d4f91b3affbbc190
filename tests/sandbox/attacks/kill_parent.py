# Kills its parent and everything it may signal.
# expect: no_result denied exception
import os
import signal

hit = []
for pid in (os.getppid(), -1, 0x7FFFFFFF, *range(2, 400)):
    if pid not in (0, os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
            hit.append(pid)
        except OSError:
            pass
if hit:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
