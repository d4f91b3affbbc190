# Leaves a message queue in the kernel.
# expect: no_result
# alone: seccomp
import ctypes

if ctypes.CDLL(None).msgget(0x5EC2E7, 0o1600) >= 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
