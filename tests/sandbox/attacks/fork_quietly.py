# Tries every way to start a process, swallowing refusals; none may work.
# expect: no_result
import ctypes
import multiprocessing
import os
import subprocess

worked = []
libc = ctypes.CDLL(None)
for name, start in {
    "fork": os.fork,
    "forkpty": os.forkpty,
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "subprocess": lambda: subprocess.run(["/bin/true"]),
    "system": lambda: 1 / (os.system("true") != 0 and 0 or 1) if os.system("true") == 0 else 1 / 0,
    "multiprocessing": lambda: multiprocessing.get_context("fork").Process(target=print).start(),
    "vfork": lambda: 1 / (libc.syscall(58) >= 0),
    "clone3": lambda: 1 / (libc.syscall(435, 0, 0) >= 0),
}.items():
    try:
        start()
        worked.append(name)
    except Exception:
        pass
if worked:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
