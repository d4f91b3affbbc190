# Calls the kernel by the old 32-bit gate, whose numbers differ.
# expect: crash denied exception no_result
# alone: seccomp
import ctypes
import mmap
import os

if os.uname().machine != "x86_64":
    raise SystemExit(1)
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
