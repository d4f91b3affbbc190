# Leaves a key in the kernel.
# expect: no_result
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(248 if os.uname().machine == "x86_64" else 217, b"user", b"cadcoder-attack", b"x", 1, -2) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
