# Coordinates that are no numbers.
# expect: invalid_shape exception
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1).val().moved(cq.Location((float("nan"), 0, 0)))
