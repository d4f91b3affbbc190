"""Where things lie in a sketch, written in named numbers: points, patterns, outlines."""

from __future__ import annotations

import math

from cadcoder.program.emit import Format
from cadcoder.program.parameters import Levels, Parameters, Sum
from cadcoder.program.patterns import Grid, Ring, find_pattern
from cadcoder.program.shapes import Shape
from cadcoder.program.types import Arc, Circle, Line, Loop, Point

#: More outer steps than this make an outline a plain list of points.
MOST_STEPS = 3


def place_points(xs: list[str], ys: list[str]) -> str:
    """Return the call that goes to one point, or pushes several."""
    if len(xs) == 1:
        return f".moveTo({xs[0]}, {ys[0]})"
    return f".pushPoints([{', '.join(f'({x}, {y})' for x, y in zip(xs, ys, strict=True))}])"


class Layout:
    """Writes places. ``axes`` are the world's axes of the sketch; ``before`` are lines to stand before the chain."""

    def __init__(self, parameters: Parameters, levels: Levels) -> None:
        self.parameters = parameters
        self.levels = levels
        self.axes: tuple[int, int] | None = None
        self.before: list[str] = []
        self.needs_math = False

    def place(
        self, centers: list[Point], word: str, shape: Shape, size: tuple[Sum, Sum]
    ) -> tuple[str, tuple[Sum, Sum] | None]:
        """Return the call that puts centres onto the stack, and the place where there is only one."""
        if len(centers) == 1:
            x, y = (self.coordinate(centers[0][k], k, word, size[k]) for k in (0, 1))
            return place_points([self.parameters.write(x)], [self.parameters.write(y)]), (x, y)
        pattern = self._row(centers) or find_pattern(centers)
        if pattern is not None and self._fits(pattern, centers):
            if isinstance(pattern, Grid):
                return self._grid(pattern, word), None
            if shape.kind == "circle":
                return self._ring(pattern, word), None
        return self._list(centers, word), None

    def coordinate(self, value: float, k: int, word: str, size: Sum) -> Sum:
        """Return a coordinate of a centre as a sum: 0, flush with a known face, on one, or a number of its own."""
        p = self.parameters
        if abs(value) <= p.tolerance:
            return Sum()
        if self.axes is not None:
            for _, face in self.levels.known[self.axes[k]]:
                for total in (face - size * 0.5, face + size * 0.5, face) if size.terms else (face,):
                    if total.terms and p.near(total, value):
                        return total
        return Sum.of(p.name(f"{word or 'center'}_{self._letter(k)}", abs(value)), 1.0 if value > 0 else -1.0)

    def _letter(self, k: int) -> str:
        return "xy"[k] if self.axes is None else "xyz"[self.axes[k]]

    def remember(self, shape: Shape, at: tuple[Sum, Sum], size: tuple[Sum, Sum]) -> None:
        """Let later places be written from the sides of a shape."""
        if self.axes is None or not size[0].terms:
            return
        halves = (shape.sizes[0] / 2, shape.sizes[1] / 2) if shape.kind == "rect" else (shape.sizes[0],) * 2
        for k in (0, 1):
            for side in (-1.0, 1.0):
                self.levels.add(self.axes[k], shape.center[k] + side * halves[k], at[k] + size[k] * (side / 2))

    def _row(self, centers: list[Point]) -> Grid | None:
        """Return two or three points in a row through the origin as a grid."""
        if len(centers) > 3:
            return None
        for k in (0, 1):
            if all(abs(c[1 - k]) <= self.parameters.tolerance for c in centers):
                ends = sorted(c[k] for c in centers)
                pitch = (ends[-1] - ends[0]) / (len(centers) - 1)
                return Grid(pitch, 1.0, len(centers), 1) if k == 0 else Grid(1.0, pitch, 1, len(centers))
        return None

    def _fits(self, pattern: Grid | Ring, centers: list[Point]) -> bool:
        slack = self.parameters.tolerance
        points = pattern.points()
        return all(min(math.dist(c, q) for q in points) <= slack for c in centers)

    def _grid(self, grid: Grid, word: str) -> str:
        p, lead = self.parameters, f"{word}_" if word else ""
        counts, pitches = (grid.nx, grid.ny), (grid.dx, grid.dy)
        edge = self._edge(grid)
        texts = []
        for k in (0, 1):
            if counts[k] == 1:
                texts.append("1")
                continue
            half = self.levels.half(self.axes[k]) if self.axes is not None and edge is not None else None
            if edge is not None and half is not None:
                name = p.name(f"{lead}edge", edge, "from the edges to the centres")
                texts.append(p.write((half - Sum.of(name)) * (2.0 / (counts[k] - 1))))
            elif 1 in counts or abs(pitches[0] - pitches[1]) <= p.tolerance:
                texts.append(p.name(f"{lead}spacing", pitches[k]))
            else:
                texts.append(p.name(f"{lead}spacing_{self._letter(k)}", pitches[k]))
        return f".rarray({texts[0]}, {texts[1]}, {grid.nx}, {grid.ny})"

    def _edge(self, grid: Grid) -> float | None:
        """Return the distance of the outer points from the part's edges, if it is one on all four sides."""
        if self.axes is None or (grid.nx, grid.ny) != (2, 2):
            return None
        found = []
        for axis, reach in zip(self.axes, (grid.dx / 2, grid.dy / 2), strict=True):
            half = self.levels.half(axis)
            if half is None or not half.terms:
                return None
            found.append(self.parameters.value(half) - reach)
        return found[0] if abs(found[0] - found[1]) <= self.parameters.tolerance and found[0] > 0 else None

    def _ring(self, ring: Ring, word: str) -> str:
        p, lead = self.parameters, f"{word}_" if word else ""
        name = p.name(f"{lead}circle_diameter", 2 * ring.radius, "of the circle through the centres")
        start = Format()(round(ring.start, 9))
        return f".polarArray({name} / 2, {start}, 360, {ring.count})"

    def _list(self, centers: list[Point], word: str) -> str:
        p = self.parameters
        columns: list[list[str]] = []
        for k in (0, 1):
            values = [c[k] for c in centers]
            if len({p.tidy(abs(v)) for v in values} - {0.0}) <= 2:
                columns.append([p.write(self.coordinate(v, k, word, Sum())) for v in values])
            else:
                columns.append([p.text(v) for v in values])
        return place_points(columns[0], columns[1])

    def outline(self, loop: Loop, word: str, outer: bool) -> list[str]:
        """Return the calls that draw a loop that has no name."""
        drawn = self._rounded(loop, word) or self._stepped(loop, word, outer)
        if drawn is not None:
            return drawn
        p = self.parameters

        def point(q: Point) -> str:
            return f"({p.text(q[0])}, {p.text(q[1])})"

        if all(isinstance(c, Line) for c in loop.curves):
            return self._points([point(c.start) for c in loop.curves if isinstance(c, Line)], word)
        first = loop.curves[0]
        if isinstance(first, Circle):  # every circle has a name
            return [f".moveTo{point(first.center)}", f".circle({p.text(first.radius)})"]
        calls = [f".moveTo{point(first.start)}"]
        for i, c in enumerate(loop.curves):
            if isinstance(c, Arc):
                calls.append(f".threePointArc({point(c.mid)}, {point(c.end)})")
            elif isinstance(c, Line) and i < len(loop.curves) - 1:
                calls.append(f".lineTo{point(c.end)}")
        return [*calls, ".close()"]

    def _points(self, points: list[str], word: str) -> list[str]:
        name = self.parameters.fresh(f"{word}_outline" if word else "outline")
        lines = [f"{name} = [{', '.join(points)}]"]
        if len(lines[0]) > 90:
            lines = [f"{name} = [", *(f"    {q}," for q in points), "]"]
        self.before += lines
        return [f".polyline({name})", ".close()"]

    def _box(self, loop: Loop, word: str) -> list[tuple[Sum, Sum]] | None:
        """Return the sides of the loop's box along x and y as sums: about the origin, or from it; else None."""
        p, names = self.parameters, ("width", "depth", "height")
        x0, y0, x1, y1 = loop.bounds()
        out = []
        for k, (low, high) in enumerate(((x0, x1), (y0, y1))):
            name = names[k] if self.axes is None else names[self.axes[k]]
            role = f"{word}_{name}" if word else name
            if abs(low + high) <= p.tolerance:
                half = Sum.of(p.name(role, high - low), 0.5)
                out.append((half * -1.0, half))
            elif abs(low) <= p.tolerance:
                out.append((Sum(), Sum.of(p.name(role, high))))
            else:
                return None
        return out

    def _boxed(self, loop: Loop) -> bool:
        x0, y0, x1, y1 = loop.bounds()
        slack = self.parameters.tolerance
        return all(abs(a + b) <= slack or abs(a) <= slack for a, b in ((x0, x1), (y0, y1)))

    def _stepped(self, loop: Loop, word: str, outer: bool) -> list[str] | None:
        """Return an outline of upright and level edges with its box and its steps named (an L, T, U, a stair)."""
        p = self.parameters
        points = [c.start for c in loop.curves if isinstance(c, Line)]
        if len(points) != len(loop.curves) or not self._boxed(loop):
            return None
        slack = p.tolerance
        pairs = zip(points, points[1:] + points[:1], strict=True)
        if any(abs(a[0] - b[0]) > slack and abs(a[1] - b[1]) > slack for a, b in pairs):
            return None
        x0, y0, x1, y1 = loop.bounds()
        ends = ((x0, x1), (y0, y1))
        steps = [{p.tidy(min(q[k] - ends[k][0], ends[k][1] - q[k])) for q in points} - {0.0} for k in (0, 1)]
        if len(steps[0] | steps[1]) > MOST_STEPS:
            return None
        box = self._box(loop, word)
        assert box is not None
        wall = len(steps[0] | steps[1]) == 1
        lead = f"{word}_" if word else ""

        def total(value: float, k: int) -> Sum:
            low, high = ends[k]
            from_low = value - low <= high - value
            inner = p.tidy(min(value - low, high - value))
            side = box[k][0] if from_low else box[k][1]
            if inner == 0:
                return side
            role = f"{lead}wall_thickness" if wall else f"{lead}step_{self._letter(k)}"
            return side + Sum.of(p.name(role, inner), 1.0 if from_low else -1.0)

        sums = [(total(q[0], 0), total(q[1], 1)) for q in points]
        if outer and self.axes is not None:
            for q, both in zip(points, sums, strict=True):
                for k in (0, 1):
                    self.levels.add(self.axes[k], q[k], both[k])
        texts = [f"({p.write(x)}, {p.write(y)})" for x, y in sums]
        return self._points(texts, word)

    def _rounded(self, loop: Loop, word: str) -> list[str] | None:
        """Return a rectangle about the origin with equal round corners, its radius named."""
        p = self.parameters
        x0, y0, x1, y1 = loop.bounds()
        slack = p.tolerance
        first = loop.curves[0]
        if len(loop.curves) != 8 or not isinstance(first, Arc) or abs(x0 + x1) > slack or abs(y0 + y1) > slack:
            return None
        w, h, r = x1, y1, first.end[0] - first.start[0]
        c = r * (1.0 - math.sqrt(0.5))
        expected = rounded_rectangle(w, h, r, c)
        for a, b in zip(loop.curves, expected, strict=True):
            if type(a) is not type(b) or isinstance(a, Circle) or isinstance(b, Circle):
                return None
            if math.dist(a.start, b.start) > slack:
                return None
            if isinstance(a, Arc) and isinstance(b, Arc) and math.dist(a.mid, b.mid) > slack:
                return None
        box = self._box(loop, word)
        assert box is not None
        self.needs_math = True
        radius = p.name(f"{word}_corner_radius" if word else "corner_radius", r)
        x, y, k = p.fresh("x"), p.fresh("y"), p.fresh("bend")
        self.before += [
            f"{x}, {y} = {p.write(box[0][1])}, {p.write(box[1][1])}",
            f"{k} = {radius} * (1 - math.sqrt(0.5))  # from the sides to the middle of a corner's arc",
        ]
        if self.axes is not None:
            for i in (0, 1):
                for side in (0, 1):
                    self.levels.add(self.axes[i], (x0, x1, y0, y1)[2 * i + side], box[i][side])
        ahead = ((f"{radius} - {x}", f"-{y}"), (f"{x}", f"{radius} - {y}"), (f"{x} - {radius}", f"{y}"))
        mids = ((f"{k} - {x}", f"{k} - {y}"), (f"{x} - {k}", f"{k} - {y}"), (f"{x} - {k}", f"{y} - {k}"))
        return [
            f".moveTo(-{x}, {radius} - {y})",
            f".threePointArc(({', '.join(mids[0])}), ({', '.join(ahead[0])}))",
            f".hLineTo({x} - {radius})",
            f".threePointArc(({', '.join(mids[1])}), ({', '.join(ahead[1])}))",
            f".vLineTo({y} - {radius})",
            f".threePointArc(({', '.join(mids[2])}), ({', '.join(ahead[2])}))",
            f".hLineTo({radius} - {x})",
            f".threePointArc(({k} - {x}, {y} - {k}), (-{x}, {y} - {radius}))",
            ".close()",
        ]


def rounded_rectangle(w: float, h: float, r: float, c: float) -> list[Line | Arc]:
    """Return the canonical loop of a rectangle of half sides w and h with corners of radius r."""
    corners = [
        ((-w, r - h), (c - w, c - h), (r - w, -h)),
        ((w - r, -h), (w - c, c - h), (w, r - h)),
        ((w, h - r), (w - c, h - c), (w - r, h)),
        ((r - w, h), (c - w, h - c), (-w, h - r)),
    ]
    out: list[Line | Arc] = []
    for (a, m, b), (following, _, _) in zip(corners, corners[1:] + corners[:1], strict=True):
        out += [Arc(a, m, b), Line(b, following)]
    return out
