# Uses up the file system's entries.
# expect: exception denied
# alone: root_fs
import os

for i in range(20_000):
    os.close(os.open(f"f{i}", os.O_CREAT | os.O_WRONLY))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
