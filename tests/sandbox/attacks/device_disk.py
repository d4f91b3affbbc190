# Opens disks, memory and the kernel's log.
# expect: no_result
# alone: root_fs landlock
import glob

opened = []
for path in ("/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/tty", "/dev/shm/x", *glob.glob("/dev/[svx]d[a-z]*")):
    try:
        opened.append(open(path, "rb" if path != "/dev/shm/x" else "wb", buffering=0))
    except OSError:
        pass
if opened:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
