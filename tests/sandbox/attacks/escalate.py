# Asks for namespaces, tracing, mounts, keys, io_uring, other users and higher limits.
# expect: no_result
import ctypes
import os
import resource

libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
worked = []
if os.uname().machine == "x86_64":
    calls = {
        "ptrace": 101,
        "unshare": 272,
        "mount": 165,
        "setns": 308,
        "bpf": 321,
        "perf": 298,
        "memfd": 319,
        "chroot": 161,
    }
else:
    calls = {
        "ptrace": 117,
        "unshare": 97,
        "mount": 40,
        "setns": 268,
        "bpf": 280,
        "perf": 241,
        "memfd": 279,
        "chroot": 51,
    }
calls |= {"io_uring": 425, "pidfd_open": 434, "mount_setattr": 442, "open_tree": 428}
for name, number in calls.items():
    if libc.syscall(number, 0 if name != "unshare" else 0x10000000, 0, 0, 0, 0) >= 0:
        worked.append(name)
for name, attempt in {
    "setuid": lambda: os.setuid(12345),
    "nice": lambda: os.nice(-5),
    "limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "descriptors": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000)),
    "chown": lambda: (open("mine", "w").close(), os.chown("mine", 12345, 12345)),
}.items():
    try:
        attempt()
        worked.append(name)
    except (OSError, ValueError, AttributeError):
        pass
if worked:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
