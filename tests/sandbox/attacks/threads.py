# Starts threads without end; they end with the process.
# expect: ok exception memory crash timeout
import threading
import time

import cadquery as cq

try:
    for _ in range(2000):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
except RuntimeError:
    pass
solid = cq.Workplane().box(1, 1, 1)
