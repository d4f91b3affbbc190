# Reads a shared memory segment of the user's.
# expect: no_result
# alone: ipc_ns seccomp
import ctypes

libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(int("@SHM@"), 0, 0)
address = libc.shmat(segment, None, 0o10000) if segment >= 0 else None
if address not in (None, 2**64 - 1) and ctypes.string_at(address, 6) == b"secret":
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
