# Loads a program into the kernel.
# expect: no_result
# alone: capabilities seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(321 if os.uname().machine == "x86_64" else 280, 0, (ctypes.c_uint32 * 20)(2, 4, 4, 1), 80) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
