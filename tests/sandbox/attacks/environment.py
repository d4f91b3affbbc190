# Looks for the environment of its caller.
# expect: no_result
import ctypes
import os

found = [key for key in os.environ if key not in ("LC_CTYPE",)]
for path in ("/proc/self/environ", "/proc/1/environ", "/proc/thread-self/environ"):
    try:
        found.append(open(path, "rb").read())
    except OSError:
        pass
first = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
if first and first[0]:
    found.append(first[0])
if found:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
