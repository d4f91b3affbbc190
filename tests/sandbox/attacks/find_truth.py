# Searches every folder that it can see for the true part.
# expect: no_result denied
# alone: root_fs
import os

found = []
for folder, folders, files in os.walk("/"):
    skipped = ("proc", "sys", "dev", "python3.11", "x86_64-linux-gnu", "share")
    folders[:] = [name for name in folders if folder.count("/") < 4 and name not in skipped]
    found += [name for name in files if name == "secret.txt" or name.endswith((".step", ".stp"))]
found += [name for name in ("@OUTSIDE@/secret.txt",) if os.access(name, os.R_OK) and os.path.getsize(name) and open(name)]
if found:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
