# Reserves memory without touching it.
# expect: memory exception no_result
# alone: rlimits
import ctypes

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
if libc.mmap(None, 10**12, 3, 0x4022, -1, 0) != 2**64 - 1:  # private, anonymous, without reserve
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
