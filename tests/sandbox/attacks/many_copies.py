# A small answer that unfolds into a million solids at the judge.
# expect: timeout memory output_limit invalid_shape crash
import cadquery as cq

parts = [cq.Workplane().box(1, 1, 1).val()]
for level in range(20):
    parts = [cq.Compound.makeCompound([*parts, *(p.moved(cq.Location((0, 0, 1.5 * 2**level))) for p in parts)])]
solid = parts[0]
