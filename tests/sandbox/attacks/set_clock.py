# Sets the clock.
# expect: no_result
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(227 if os.uname().machine == "x86_64" else 112, 0, (ctypes.c_int64 * 2)(-1, -1)) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
