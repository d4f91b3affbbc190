"""Numbers on a grid: what a model writes and a person reads, with faces that met still meeting.

Ends of extrudes and edges of rectangles are rounded as places, not as lengths, so that two features that share a
face before share it after.
"""

from __future__ import annotations

from dataclasses import replace

from cadcoder.program.canonical import nest
from cadcoder.program.patterns import Grid, Ring, find_pattern
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.types import Arc, Circle, Curve, Extrude, Line, Loop, Plane, Point, Program, Sketch

#: The grid of the default model: whole units, halves where a size is under ten (the longest side is 100).
COARSE, FINE, SMALL = 1.0, 0.5, 10.0


def snap(program: Program, coarse: float = COARSE, fine: float = FINE, small: float = SMALL) -> Program:
    """Return the canonical program with its numbers on the grid.

    Args:
        program: in canonical form, in the unit of the grid.
        coarse: step for sizes from ``small`` on.
        fine: step for smaller sizes and for centres.
        small: where the fine step begins.

    Raises:
        InputError: if a loop has no area left.
    """
    return Program(tuple(_Snap(coarse, fine, small).extrude(e) for e in program.extrudes))


class _Snap:
    def __init__(self, coarse: float, fine: float, small: float) -> None:
        self.coarse, self.fine, self.small = coarse, fine, small

    def size(self, v: float) -> float:
        step = self.fine if abs(v) < self.small else self.coarse
        return max(self.fine, round(v / step) * step)

    def at(self, v: float, step: float) -> float:
        return round(v / step) * step + 0.0

    def span(self, low: float, high: float) -> tuple[float, float]:
        """Round two ends; the middle of a narrow span is kept on the fine grid."""
        if high - low >= self.small:
            return self.at(low, self.coarse), self.at(high, self.coarse)
        a = self.at(low, self.fine)
        return a, a + max(self.fine, self.at(high - a, self.fine))

    def extrude(self, e: Extrude) -> Extrude:
        plane = e.sketch.plane
        _, _, n = plane.axes()
        height = sum(o * d for o, d in zip(plane.origin, n, strict=True))
        low, high = self.span(height - e.backward, height + e.forward)
        base = low if e.backward == 0 else high if e.forward == 0 else self.at(height, self.fine)
        # A standard plane's origin lies on its normal; of any other the rest of the origin is rounded as it is.
        rest = [self.at(o - height * d, self.fine) for o, d in zip(plane.origin, n, strict=True)]
        origin = [r + base * d + 0.0 for r, d in zip(rest, n, strict=True)]
        if e.is_symmetric:
            half = self.size(e.forward)
            forward, backward = half, half
        else:
            forward, backward = high - base, base - low
        loops = self.loops(list(e.sketch.loops()))
        placed = Plane((origin[0], origin[1], origin[2]), plane.x_dir, plane.normal)
        return replace(e, sketch=Sketch(nest(loops), placed), forward=forward, backward=backward)

    def loops(self, loops: list[Loop]) -> list[Loop]:
        """Round loops one by one, but equal ones in a grid or ring by its spacing, so that it stays even."""
        out: list[Loop] = []
        alike: dict[tuple[str, tuple[float, ...]], list[Point]] = {}
        for loop in loops:
            shape = describe(loop)
            if shape is None:
                out.append(self.loop(loop))
            else:
                alike.setdefault((shape.kind, tuple(round(v, 6) for v in shape.sizes)), []).append(shape.center)
        for (kind, sizes), centers in alike.items():
            found = find_pattern(centers)
            if isinstance(found, Grid):
                centers = Grid(self.step(found.dx), self.step(found.dy), found.nx, found.ny).points()
            elif isinstance(found, Ring):
                centers = Ring(self.step(found.radius), found.start, found.count).points()
            for center in centers:
                rounded = self.shape(Shape(kind, sizes, center))
                out.append((rounded if found is None else replace(rounded, center=center)).loop())
        return out

    def step(self, v: float) -> float:
        return max(self.fine, self.at(v, self.fine))

    def loop(self, loop: Loop) -> Loop:
        shape = describe(loop)
        if shape is not None:
            return self.shape(shape).loop()
        x0, y0, x1, y1 = loop.bounds()
        step = self.fine if min(x1 - x0, y1 - y0) < 2 * self.small else self.coarse

        def move(p: Point, step: float = step) -> Point:
            return self.at(p[0], step), self.at(p[1], step)

        curves: list[Curve] = []
        for c in loop.curves:
            if isinstance(c, Circle):
                continue
            start, end = move(c.start), move(c.end)
            if start == end:
                continue
            arc = Arc(start, move(c.mid, self.fine), end) if isinstance(c, Arc) else None
            curves.append(arc if arc is not None and arc.circle() is not None else Line(start, end))
        return Loop(tuple(curves))

    def shape(self, s: Shape) -> Shape:
        center = self.at(s.center[0], self.fine), self.at(s.center[1], self.fine)
        if s.kind == "rect":
            (w, h), (cx, cy) = s.sizes, s.center
            x0, x1 = self._edges(cx, w)
            y0, y1 = self._edges(cy, h)
            return Shape("rect", (x1 - x0, y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2))
        if s.kind == "polygon":
            return Shape("polygon", (s.sizes[0], self.size(s.sizes[1])), center)
        sizes = [self.size(v) for v in s.sizes[:2]]
        if s.kind == "slot":
            return Shape("slot", (max(sizes[0], sizes[1] + self.fine), sizes[1], s.sizes[2]), center)
        return Shape("circle", (sizes[0],), center)

    def _edges(self, center: float, width: float) -> tuple[float, float]:
        if abs(center) < 1e-9:
            half = self.size(width) / 2
            return -half, half
        low, high = self.span(center - width / 2, center + width / 2)
        if abs((low + high) / self.fine / 2 % 1.0 - 0.5) < 0.25:
            high += self.fine  # keeps the centre on the fine grid
        return low, high
