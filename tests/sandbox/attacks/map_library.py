# Maps a library for writing, to change it for the next script.
# expect: denied exception
import mmap

import cadquery

with open(cadquery.__file__, "r+b") as file:
    mmap.mmap(file.fileno(), 0)[0:1] = b"#"
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
