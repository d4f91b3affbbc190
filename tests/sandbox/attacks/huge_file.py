# Fills the disk with one file.
# expect: exception denied crash
with open("big", "wb") as file:
    for _ in range(10_000):
        file.write(bytes(10**6))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
