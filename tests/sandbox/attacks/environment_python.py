# Reads Python's copies of the caller's environment.
# expect: no_result
import os
import posix

here = {**{os.fsencode(k): v for k, v in os.environ.items()}, **posix.environ}
if b"CADCODER_CANARY" in here or b"HOME" in os.environb:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
