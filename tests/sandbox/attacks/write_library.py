# Plants code in a library for the next script.
# expect: denied exception
import cadquery

open(cadquery.__file__, "a").write("x")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
