# Changes the kernel's settings.
# expect: no_result
# alone: root_fs landlock
opened = []
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches"):
    try:
        opened.append(open(path, "r+b"))
    except OSError:
        pass
if opened:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
