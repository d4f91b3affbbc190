"""What the parts of a set look like, counted: extrudes, planes, outlines, holes, proportions.

All lengths are relative to the longest side of the part's box.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program.canonical import scaled, standard_plane
from cadcoder.program.types import Circle, Extrude, Loop, Operation, Plane, Point, Program
from dataset_build.loop_kinds import layout, loop_kind

#: Two lengths closer than this fraction of the part's longest side are the same (8-bit sources are coarse).
SAME = 0.006
AXES = "xyz"


@dataclass
class Statistics:
    """Counts and samples over a set of parts.

    Attributes:
        parts: number of parts measured.
        failed: programs that do not build.
        counts: table -> value -> how often.
        samples: quantity -> all its values.
    """

    parts: int = 0
    failed: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def share(self, table: str, value: str) -> float:
        """Return the share of ``value`` in a table, 0 where the table is empty."""
        total = sum(self.counts[table].values())
        return self.counts[table][value] / total if total else 0.0

    def quantile(self, quantity: str, q: float) -> float:
        """Return a quantile of a quantity, NaN where there are no values."""
        values = self.samples[quantity]
        return float(np.quantile(values, q)) if values else math.nan


def measure(programs: Iterable[Program]) -> Statistics:
    """Measure a set of parts; those that do not build are counted as failed and left out."""
    s = Statistics()
    for program in programs:
        try:
            _part(s, program)
            s.parts += 1
        except InputError:
            s.failed += 1
    return s


def _part(s: Statistics, program: Program) -> None:
    solid = build(program)
    extents = [float(v) for v in solid.extents]
    longest = max(extents)
    program = Program(tuple(standard_plane(e) for e in scaled(program, 1.0 / longest).extrudes))
    short, mid, _ = sorted(extents)
    c = s.counts
    c["extrudes"][_capped(len(program.extrudes), 8)] += 1
    c["operations in order"][" ".join(e.operation.value for e in program.extrudes[:4])] += 1
    c["bodies"][_capped(solid.n_bodies, 4)] += 1
    c["longest axis"][AXES[int(np.argmax(extents))]] += 1
    c["shortest axis"][AXES[int(np.argmin(extents))]] += 1
    c["through holes (genus)"][_capped(solid.genus, 8)] += 1
    s.samples["box: middle / longest"].append(mid / longest)
    s.samples["box: shortest / longest"].append(short / longest)
    s.samples["share of box filled"].append(solid.volume / math.prod(extents))
    c["equal box sides"][_equal_sides(short / longest, mid / longest)] += 1
    s.samples["curves per part"].append(sum(len(p.curves) for e in program.extrudes for p in e.sketch.loops()))
    holes = sum(len(p.holes) for e in program.extrudes for p in e.sketch.profiles)
    c["holes in profiles per part"][_capped(holes, 8)] += 1
    for i, e in enumerate(program.extrudes):
        _extrude(s, program, i, e)


def _extrude(s: Statistics, program: Program, i: int, e: Extrude) -> None:
    c, place = s.counts, "first" if i == 0 else "later"
    removes = e.operation is Operation.CUT
    c[f"operation {min(i + 1, 4)}{'+' if i >= 3 else ''}"][e.operation.value] += 1
    c[f"extent, {place}"][_extent_kind(e)] += 1
    c[f"plane, {place}"][_plane_kind(e.sketch.plane)] += 1
    what = "cut" if removes else "first" if i == 0 else "added"
    s.samples[f"depth, {what}"].append(e.forward + e.backward)
    profiles = e.sketch.profiles
    c[f"profiles per sketch, {what}"][_capped(len(profiles), 6)] += 1
    boxes = [p.outer.bounds() for p in profiles]
    x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
    x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
    # Rounded, so that a test for equal distributions does not tell 1 from 1 less a rounding error.
    s.samples[f"sketch long side, {what}"].append(round(max(x1 - x0, y1 - y0), 3))
    s.samples[f"sketch short / long, {what}"].append(min(x1 - x0, y1 - y0) / max(x1 - x0, y1 - y0))
    for p in profiles:
        c[f"loops per profile, {what}"][_capped(1 + len(p.holes), 6)] += 1
        c[f"outer loop, {what}"][loop_kind(p.outer)] += 1
        c["curves per outer loop"][_capped(len(p.outer.curves), 13)] += 1
        for hole in p.holes:
            c["hole loop"][loop_kind(hole)] += 1
            c["hole loop centred in its profile"][_centred(hole, p.outer.bounds())] += 1
        _circles(s, [h for h in p.holes], "holes")
        if p.outer.is_circle and len(p.holes) == 1 and p.holes[0].is_circle:
            s.samples["tube: inner / outer radius"].append(_radius(p.holes[0]) / _radius(p.outer))
    _circles(s, [p.outer for p in profiles], "cut circles" if removes else "added circles")
    for loop in e.sketch.loops():
        if loop.is_circle:
            s.samples["circle radius"].append(_radius(loop))
    if i == 0:
        return
    c["later plane"][_relation(program, i)] += 1
    c["later sketch centred on the first"][_centred_on_first(program.extrudes[0], e)] += 1
    if removes:
        c["cut goes through"][_through(program, i)] += 1


def _capped(n: int, top: int) -> str:
    return str(n) if n < top else f"{top}+"


def _radius(loop: Loop) -> float:
    first = loop.curves[0]
    assert isinstance(first, Circle)
    return first.radius


def _equal_sides(short: float, mid: float) -> str:
    pairs = [abs(1 - mid) < SAME, abs(mid - short) < SAME]
    return "all three" if all(pairs) else "two longer" if pairs[0] else "two shorter" if pairs[1] else "none"


def _extent_kind(e: Extrude) -> str:
    if abs(e.forward - e.backward) < 1e-9:
        return "symmetric"
    if e.backward == 0:
        return "one side, along +axis" if _sign(e) > 0 else "one side, along -axis"
    if e.forward == 0:
        return "one side, along -axis" if _sign(e) > 0 else "one side, along +axis"
    return "two sides"


def _sign(e: Extrude) -> float:
    """Which way along the coordinate axis nearest to it the normal runs (XZ's is -y)."""
    n = e.sketch.plane.axes()[2]
    return math.copysign(1.0, max(n, key=abs))


def _plane_kind(plane: Plane) -> str:
    n = plane.axes()[2]
    for name, k in (("XY", 2), ("XZ", 1), ("YZ", 0)):
        if abs(n[k]) > 1 - 1e-6:
            return name
    return "other"


def _span(e: Extrude, n: tuple[float, float, float]) -> tuple[float, float]:
    """Return what the extrude's prism spans along the unit direction ``n`` (box corners of its sketch)."""
    plane = e.sketch.plane
    heights = []
    for p in e.sketch.profiles:
        x0, y0, x1, y1 = p.outer.bounds()
        for corner in ((x0, y0), (x1, y0), (x0, y1), (x1, y1)):
            for h in (-e.backward, e.forward):
                heights.append(sum(a * b for a, b in zip(plane.to_world(corner, h), n, strict=True)))
    return min(heights), max(heights)


def _relation(program: Program, i: int) -> str:
    """How the sketch plane of extrude ``i`` lies to the prisms before it."""
    e = program.extrudes[i]
    n = e.sketch.plane.axes()[2]
    height = sum(a * b for a, b in zip(e.sketch.plane.origin, n, strict=True))
    before = program.extrudes[:i]
    turn = [abs(sum(a * b for a, b in zip(n, q.sketch.plane.axes()[2], strict=True))) for q in before]
    kind = (
        "parallel"
        if max(turn) > 1 - 1e-6
        else "perpendicular"
        if max(turn) < 1e-6 or 0 in map(_zero, turn)
        else "oblique"
    )
    if kind == "oblique":
        return kind
    if kind == "parallel":
        for q, t in zip(before, turn, strict=True):
            if t > 1 - 1e-6:
                at = sum(a * b for a, b in zip(q.sketch.plane.origin, n, strict=True))
                if abs(at - height) < SAME:
                    return "parallel, same plane as an earlier sketch"
    spans = [_span(q, n) for q in before]
    if any(abs(v - height) < SAME for span in spans for v in span):
        return f"{kind}, on the far face" if kind == "parallel" else f"{kind}, on a side"
    inside = min(a for a, _ in spans) < height < max(b for _, b in spans)
    return f"{kind}, inside" if inside else f"{kind}, off the part"


def _zero(value: float) -> int:
    return 0 if value < 1e-6 else 1


def _through(program: Program, i: int) -> str:
    """Whether cut ``i`` covers the depth of what was added before it, along its own normal."""
    e = program.extrudes[i]
    n = e.sketch.plane.axes()[2]
    low, high = _span(e, n)
    spans = [_span(q, n) for q in program.extrudes[:i] if q.operation is not Operation.CUT]
    return "through" if low <= min(a for a, _ in spans) + SAME and high >= max(b for _, b in spans) - SAME else "blind"


def _centred(loop: Loop, box: tuple[float, float, float, float]) -> str:
    a = loop.bounds()
    off = [abs((a[k] + a[k + 2]) - (box[k] + box[k + 2])) / 2 < SAME for k in (0, 1)]
    return "both ways" if all(off) else "one way" if any(off) else "no"


def _centred_on_first(first: Extrude, e: Extrude) -> str:
    """Whether the sketch's box is centred on the first prism's, seen along the sketch's normal."""
    x, y, _ = e.sketch.plane.axes()
    off = []
    for axis in (x, y):
        a, b = _span(first, axis), _span(e, axis)
        off.append(abs(a[0] + a[1] - b[0] - b[1]) / 2 < SAME)
    return "both ways" if all(off) else "one way" if any(off) else "no"


def _circles(s: Statistics, loops: list[Loop], what: str) -> None:
    """Count groups of equal circles and how they lie."""
    groups: dict[int, list[Point]] = defaultdict(list)
    for loop in loops:
        first = loop.curves[0]
        if isinstance(first, Circle):
            groups[round(first.radius / SAME)].append(first.center)
    for centers in groups.values():
        s.counts[f"equal {what}: how many"][_capped(len(centers), 9)] += 1
        if len(centers) > 1:
            s.counts[f"equal {what}: layout"][layout(centers)] += 1
