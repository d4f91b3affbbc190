# Passes descriptors through the socket on which it answers.
# expect: denied exception crash
# alone: seccomp
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(64)
if libc.sendto(3, b"", 0, 64, None, 0) < 0 and libc.recvfrom(3, buffer, 64, 64, None, None) < 0:
    if ctypes.get_errno() == 1:
        raise PermissionError(1, "refused")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
