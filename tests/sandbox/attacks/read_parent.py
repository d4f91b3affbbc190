# Reads its parent's memory.
# expect: no_result
# alone: pid_ns user_ns capabilities landlock seccomp
import ctypes
import os

libc = ctypes.CDLL(None)
libc.process_vm_readv.restype = ctypes.c_ssize_t
here = ctypes.create_string_buffer(8)
address = ctypes.cast(libc.getpid, ctypes.c_void_p).value
local = (ctypes.c_uint64 * 2)(ctypes.addressof(here), 8)
remote = (ctypes.c_uint64 * 2)(address, 8)
if libc.process_vm_readv(int("@CANARY@"), local, 1, remote, 1, 0) > 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
