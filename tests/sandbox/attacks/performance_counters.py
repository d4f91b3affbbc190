# Opens a performance counter, to watch other processes.
# expect: no_result
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(298 if os.uname().machine == "x86_64" else 241, (ctypes.c_uint32 * 32)(1, 128), 0, -1, -1, 0) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
