# Reads the caller's environment where the kernel put it, at the end of the stack.
# expect: no_result crash
import ctypes

libc = ctypes.CDLL(None)
start = ctypes.c_void_p.in_dll(libc, "program_invocation_name").value
if b"CADCODER_" + b"CANARY" in ctypes.string_at(start, 4096 - start % 4096):
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
