# Mounts a file system.
# expect: no_result
# alone: capabilities seccomp user_ns
import ctypes
import os

os.mkdir("mnt")
if ctypes.CDLL(None).mount(b"tmpfs", b"mnt", b"tmpfs", 0, None) == 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
