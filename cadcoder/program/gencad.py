"""Program to text in the form of the published GenCAD-Code data (Doris et al., arXiv 2505.14646)."""

from __future__ import annotations

from cadcoder.program.sketches import parts
from cadcoder.program.types import Arc, Circle, Line, Loop, Operation, Plane, Point, Profile, Program

#: CadQuery's method for each operation.
METHODS = {Operation.JOIN: "union", Operation.CUT: "cut", Operation.INTERSECT: "intersect", Operation.NEW: "union"}


def gencad(program: Program) -> str:
    """Return the program in the published form; what it has no words for is written as CadQuery."""
    lines = ["import cadquery as cq"]
    k = 0
    for i, e in enumerate(program.extrudes):
        plane, distance, both = e.sketch.plane, e.forward, ""
        if e.is_symmetric:
            both = ", both=True"
        elif e.backward != 0:
            distance = e.forward + e.backward
            if e.forward == 0:
                distance = -e.backward
            else:
                # The dialect has no two-sided extent: the plane moves to where the solid begins.
                plane = Plane(plane.to_world((0.0, 0.0), -e.backward), plane.x_dir, plane.normal)
        vectors = ", ".join(
            f"cq.Vector({', '.join(_digits(v) for v in vec)})" for vec in (plane.origin, plane.x_dir, plane.normal)
        )
        lines.append(f"# Generating a workplane for sketch {i}")
        lines.append(f"wp_sketch{i} = cq.Workplane(cq.Plane({vectors}))")
        main, cuts, rest = parts(e.sketch.profiles)
        names = []
        for loop in main:
            lines.append(f"loop{k}=wp_sketch{i}{_loop(loop)}")
            names.append(f".add(loop{k})")
            k += 1
        tail = f".extrude({_digits(distance)}{both})"
        more = _more(cuts, rest, f"cq.Workplane(cq.Plane({vectors}))", tail)
        lines.append(f"solid{i}=wp_sketch{i}{''.join(names)}{tail}{more}")
        lines.append(f"solid=solid.{METHODS[e.operation]}(solid{i})" if i else f"solid=solid{i}")
    return "\n".join(lines) + "\n"


def _more(cuts: list[list[Loop]], rest: tuple[Profile, ...], workplane: str, tail: str) -> str:
    """Return the loops that the sketch cannot hold, which the published dialect has no words for."""
    text = "".join(f".cut({workplane}{''.join(map(_loop, loops))}{tail})" for loops in cuts)
    if rest:
        main, cuts, rest = parts(rest)
        inner = f"{workplane}{''.join(map(_loop, main))}{tail}{_more(cuts, rest, workplane, tail)}"
        text += f".union({inner})"
    return text


def _digits(value: float) -> str:
    return repr(float(value))


def _loop(loop: Loop) -> str:
    def point(p: Point) -> str:
        return f"{_digits(p[0])}, {_digits(p[1])}"

    first = loop.curves[0]
    if isinstance(first, Circle):
        return f".moveTo({point(first.center)}).circle({_digits(first.radius)})"
    calls = [f".moveTo({point(first.start)})"]
    # close() draws a last straight edge, as in the published scripts; they write it where it ends at the origin.
    implied = isinstance(loop.curves[-1], Line) and first.start != (0.0, 0.0)
    drawn = loop.curves[:-1] if implied else loop.curves
    for c in drawn:
        if isinstance(c, Line):
            calls.append(f".lineTo({point(c.end)})")
        elif isinstance(c, Arc):
            calls.append(f".threePointArc(({point(c.mid)}), ({point(c.end)}))")
    return "".join(calls) + ".close()"
