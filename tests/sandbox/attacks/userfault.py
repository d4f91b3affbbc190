# Handles page faults, a helper of many exploits.
# expect: no_result
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(323 if os.uname().machine == "x86_64" else 282, 1) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
