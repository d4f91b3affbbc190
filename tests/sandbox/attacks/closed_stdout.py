# Closes its outputs, then makes a part all the same.
# expect: ok
# volume: 6
import os
import sys

import cadquery as cq

sys.stdout.close()
os.close(1)
os.close(2)
solid = cq.Workplane().box(1, 2, 3)
