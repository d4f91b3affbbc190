# Opens a file by its inode, past every path.
# expect: no_result
import ctypes
import os

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.syscall(304 if os.uname().machine == "x86_64" else 265, -100, (ctypes.c_uint32 * 4)(8, 1, 2, 0), 0) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
