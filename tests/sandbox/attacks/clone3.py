# Starts a process by the newest call.
# expect: no_result
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
pid = libc.syscall(435, arguments, ctypes.sizeof(arguments))
if pid == 0:
    os._exit(0)
if pid > 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
