# Writes STEP files until the disk is full.
# expect: exception denied crash timeout memory invalid_shape
import cadquery as cq

part = cq.Workplane().rarray(2, 2, 30, 30).box(1, 1, 1, combine=False)
part = cq.Workplane(cq.Compound.makeCompound(part.vals()))
for i in range(10_000):
    cq.exporters.export(part, f"{i}.step")
