# Opens sockets by the system call itself.
# expect: no_result
# alone: seccomp
import ctypes

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
if libc.socket(2, 1, 0) >= 0 or libc.syscall(41, 2, 1, 0) >= 0 or libc.syscall(198, 2, 1, 0) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
