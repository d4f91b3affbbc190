# Replaces the measuring functions, so that its part seems larger.
# expect: ok
# volume: 6
import cadquery as cq
from cadcoder.sandbox import judge, shapes

shapes.volume = lambda shape: 1e6
judge._problem = lambda *_: None
cq.Shape.Volume = lambda *_: 1e6
solid = cq.Workplane().box(1, 2, 3)
