# Takes a descriptor out of its parent.
# expect: no_result
# alone: pid_ns user_ns capabilities landlock seccomp
import ctypes

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
pidfd = libc.syscall(434, int("@CANARY@"), 0)
if pidfd >= 0 and libc.syscall(438, pidfd, 0, 0) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
