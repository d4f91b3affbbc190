"""Comparing programs number by number, and solids by volume and overlap."""

from __future__ import annotations

import math
from dataclasses import replace

import cadquery as cq
from hypothesis import Phase

from cadcoder.geometry.occ import mesh_shape, volume
from cadcoder.geometry.solid import Solid
from cadcoder.program import Arc, Circle, Extrude, Loop, Plane, Program

#: Without the phase that explains a failure, which takes longer than all others together.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def numbers(loop: Loop) -> list[float]:
    out: list[float] = []
    for c in loop.curves:
        if isinstance(c, Circle):
            out += [*c.center, c.radius]
        else:
            out += [*c.start, *(c.mid if isinstance(c, Arc) else ()), *c.end]
    return out


def structure(program: Program) -> list[object]:
    return [
        (e.operation, [[[type(c).__name__ for c in loop.curves] for loop in p.loops()] for p in e.sketch.profiles])
        for e in program.extrudes
    ]


def difference(a: Program, b: Program) -> float:
    """The largest difference of two numbers, as a fraction of the largest; infinite for another structure."""
    if structure(a) != structure(b):
        return math.inf
    most, size = 0.0, 1e-300
    for e, f in zip(a.extrudes, b.extrudes, strict=True):
        pairs = [(e.forward, f.forward), (e.backward, f.backward)]
        for attribute in ("origin", "x_dir", "normal"):
            pairs += zip(getattr(e.sketch.plane, attribute), getattr(f.sketch.plane, attribute), strict=True)
        for p, q in zip(e.sketch.loops(), f.sketch.loops(), strict=True):
            pairs += zip(numbers(p), numbers(q), strict=True)
        most = max(most, *(abs(v - w) for v, w in pairs))
        size = max(size, *(abs(v) for v, _ in pairs))
    return most / size


def loose_difference(a: Program, b: Program) -> float:
    """As :func:`difference`, whatever the order of the loops: rounding may change which of two is the larger."""
    if [e.operation for e in a.extrudes] != [e.operation for e in b.extrudes]:
        return math.inf
    most = size = 1e-300
    for e, f in zip(a.extrudes, b.extrudes, strict=True):
        ours, theirs = list(e.sketch.loops()), list(f.sketch.loops())
        if len(ours) != len(theirs):
            return math.inf
        ends = [
            math.dist(v.to_world((0.0, 0.0), h), w.to_world((0.0, 0.0), k))
            for v, h, w, k in (
                (e.sketch.plane, e.forward, f.sketch.plane, f.forward),
                (e.sketch.plane, -e.backward, f.sketch.plane, -f.backward),
            )
        ]
        most = max(most, *ends)
        for loop in ours:
            box = (*loop.bounds(), loop.signed_area() ** 0.5)
            most = max(most, min(math.dist(box, (*q.bounds(), q.signed_area() ** 0.5)) for q in theirs))
            size = max(size, *(abs(v) for v in box))
    return most / size


def swept(extrude: Extrude) -> float:
    """The volume of one extrude by itself."""
    areas = [abs(p.outer.signed_area()) - sum(abs(h.signed_area()) for h in p.holes) for p in extrude.sketch.profiles]
    return sum(areas) * (extrude.forward + extrude.backward)


def shifted_planes(program: Program) -> Program:
    """Two-sided extents as the ``gencad`` dialect says them: the plane where the solid begins."""
    out = []
    for e in program.extrudes:
        if e.backward != 0 and e.forward != 0 and not e.is_symmetric:
            plane = e.sketch.plane
            base = Plane(plane.to_world((0.0, 0.0), -e.backward), plane.x_dir, plane.normal)
            e = Extrude(replace(e.sketch, plane=base), e.forward + e.backward, 0.0, e.operation)
        out.append(e)
    return Program(tuple(out))


def run(code: str) -> cq.Shape:
    """What CadQuery makes of a script of our own."""
    names: dict[str, object] = {}
    exec(code, names)
    part = names.get("result", names.get("solid"))
    assert isinstance(part, cq.Workplane)
    return cq.Compound.makeCompound(part.vals())


def mesh(shape: cq.Shape) -> Solid:
    return mesh_shape(shape.wrapped, angular=0.05)


def exact_volume(shape: cq.Shape) -> float:
    return volume(shape.wrapped)
