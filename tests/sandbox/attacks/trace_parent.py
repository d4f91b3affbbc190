# Attaches to its parent as a debugger.
# expect: no_result
# alone: pid_ns user_ns capabilities landlock seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long] * 4
pid = int("@CANARY@")
if os.getppid() and libc.ptrace(0x4206, pid, 0, 0) >= 0:  # PTRACE_SEIZE
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
