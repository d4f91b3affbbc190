# A compound of nothing.
# expect: invalid_shape
import cadquery as cq

solid = cq.Compound.makeCompound([])
