# A result that never tells what it holds.
# expect: timeout exception
import cadquery as cq


class Endless(cq.Workplane):
    def vals(self):
        while True:
            pass


solid = Endless()
