# A result that wraps a null shape.
# expect: exception crash invalid_shape no_result
import cadquery as cq
from OCP.TopoDS import TopoDS_Solid

solid = cq.Solid(TopoDS_Solid())
