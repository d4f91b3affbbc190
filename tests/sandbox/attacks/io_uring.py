# Makes system calls by io_uring, which filters do not see.
# expect: no_result
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(425 if os.uname().machine == "x86_64" else 425, 8, ctypes.create_string_buffer(256)) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
