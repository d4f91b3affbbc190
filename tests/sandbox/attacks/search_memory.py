# Searches its memory for what the caller holds.
# expect: no_result
import gc

marker = "CADCODER" + "-TRUTH"
found = [x for x in gc.get_objects() if isinstance(x, dict) and any(marker in str(k)[:200] for k in list(x))]
found += [x for x in gc.get_objects() if isinstance(x, (list, tuple)) and any(marker in y for y in x if type(y) is str)]
if any(type(x) is not tuple or marker not in x for x in found):
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
