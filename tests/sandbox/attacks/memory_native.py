# Lets OpenCascade allocate: a very large array of points.
# expect: memory exception crash timeout
from OCP.TColgp import TColgp_Array1OfPnt

arrays = []
while True:
    arrays.append(TColgp_Array1OfPnt(1, 10_000_000))
