# Enters a user namespace of its own, to have every power there.
# expect: no_result
# alone: seccomp
import ctypes

if ctypes.CDLL(None).unshare(0x10000000) == 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
