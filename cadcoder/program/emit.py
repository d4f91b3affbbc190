"""Program to CadQuery text, in two dialects.

``gencad`` is the form of the published GenCAD-Code data (Doris et al., arXiv 2505.14646): a ``cq.Plane`` from
vectors for every sketch, one variable a loop, absolute ``lineTo`` and ``threePointArc``. ``plain`` is ours: one
chain an extrude, CadQuery's own shapes and point patterns, one number an axis-parallel edge.
"""

from __future__ import annotations

from collections.abc import Callable

from cadcoder.errors import InputError
from cadcoder.program.patterns import Grid, Ring, find_pattern
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.types import (
    STANDARD_PLANES,
    Arc,
    Circle,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Point,
    Program,
    Vector,
)

#: The name of the finished part in the ``plain`` dialect.
RESULT = "result"


def emit(program: Program, dialect: str = "plain", step: float | None = None) -> str:
    """Return CadQuery text for the program.

    Args:
        program: the part; for the shortest ``plain`` text, in canonical form.
        dialect: ``plain`` or ``gencad``.
        step: round every number to a multiple of this (``plain`` only); None keeps every digit.

    Raises:
        InputError: for a dialect that is not known.
    """
    if dialect == "gencad":
        return _gencad(program)
    if dialect != "plain":
        raise InputError(f"there is no dialect {dialect!r}; use 'plain' or 'gencad'")
    fmt = _formatter(step)
    lines = ["import cadquery as cq", ""]
    for i, e in enumerate(program.extrudes):
        chain = plain_chain(e, fmt)
        if i == 0:
            lines.append(f"{RESULT} = {chain}")
        elif e.operation is Operation.NEW:
            # A body of its own: united without merging faces across the seam.
            lines.append(f"{RESULT} = {RESULT}.union({chain}, clean=False)")
        else:
            lines.append(f"{RESULT} = {RESULT}.{_METHODS[e.operation]}({chain})")
    return "\n".join(lines) + "\n"


_METHODS = {Operation.JOIN: "union", Operation.CUT: "cut", Operation.INTERSECT: "intersect", Operation.NEW: "union"}

Format = Callable[[float], str]


def _formatter(step: float | None) -> Format:
    def fmt(value: float) -> str:
        if step is not None:
            value = round(round(value / step) * step, 9)
        if value == int(value) and abs(value) < 1e15:
            return str(int(value))
        return repr(float(value))

    return fmt


def plain_chain(extrude: Extrude, fmt: Format) -> str:
    """Return one extrude as a CadQuery chain, numbers written by ``fmt``."""
    forward, backward = extrude.forward, extrude.backward
    parts = [_plain_workplane(extrude.sketch.plane, fmt)]
    if extrude.is_symmetric:
        end = f".extrude({fmt(forward)}, both=True)"
    elif backward == 0:
        end = f".extrude({fmt(forward)})"
    elif forward == 0:
        end = f".extrude({fmt(-backward)})"
    else:
        parts.append(f".workplane(offset={fmt(-backward)})")
        end = f".extrude({fmt(forward + backward)})"
    parts += plain_loops(list(extrude.sketch.loops()), fmt)
    return "".join(parts) + end


def standard_name(plane: Plane) -> str | None:
    """Return CadQuery's name for the directions of a plane, or None."""
    for name, (x, n) in STANDARD_PLANES.items():
        if plane.x_dir == x and plane.normal == n:
            return name
    return None


def _plain_workplane(plane: Plane, fmt: Format) -> str:
    name = standard_name(plane)
    if name is None:
        # Directions keep their digits: rounding them to a length's step would turn the plane.
        exact = _formatter(None)
        vectors = _tuple(plane.origin, fmt), _tuple(plane.x_dir, exact), _tuple(plane.normal, exact)
        return f"cq.Workplane(cq.Plane({', '.join(vectors)}))"
    if all(fmt(v) in ("0", "-0") for v in plane.origin):
        return f'cq.Workplane("{name}")'
    return f'cq.Workplane("{name}", origin={_tuple(plane.origin, fmt)})'


def _tuple(values: Vector | Point, fmt: Format) -> str:
    return "(" + ", ".join(fmt(v) for v in values) + ")"


def plain_loops(loops: list[Loop], fmt: Format) -> list[str]:
    """Return the chain's calls for the loops; equal named shapes are pushed onto their points together."""
    groups: list[tuple[str, list[Point]] | Loop] = []
    index: dict[str, int] = {}
    for loop in loops:
        shape = describe(loop)
        if shape is None:
            groups.append(loop)
            continue
        call = shape_call(shape, fmt)
        if call not in index:
            index[call] = len(groups)
            groups.append((call, []))
        entry = groups[index[call]]
        assert isinstance(entry, tuple)
        entry[1].append(shape.center)
    calls: list[str] = []
    # What CadQuery's stack holds: new shapes are drawn at these points unless told otherwise.
    here: str | None = place([(0.0, 0.0)], fmt)
    for group in groups:
        if isinstance(group, Loop):
            calls.append(_path(group, fmt))
            here = None
            continue
        call, centers = group
        there = place(centers, fmt)
        if there != here:
            calls.append(there)
        calls.append(call)
        here = there
    return calls


def shape_call(shape: Shape, fmt: Format) -> str:
    """Return the CadQuery call that draws a named shape at the current point."""
    if shape.kind == "polygon":
        return f".polygon({round(shape.sizes[0])}, {fmt(shape.sizes[1])})"
    if shape.kind == "slot":
        angle = _formatter(None)(round(shape.sizes[2], 3))
        tail = "" if angle == "0" else f", {angle}"
        return f".slot2D({fmt(shape.sizes[0])}, {fmt(shape.sizes[1])}{tail})"
    return f".{shape.kind}({', '.join(fmt(s) for s in shape.sizes)})"


def place(centers: list[Point], fmt: Format) -> str:
    """Return the call that puts the points onto CadQuery's stack: one point, a grid, a ring or a list."""
    if len(centers) == 1:
        return f".moveTo({fmt(centers[0][0])}, {fmt(centers[0][1])})"
    pattern = find_pattern(centers)
    if isinstance(pattern, Grid):
        return f".rarray({fmt(pattern.dx)}, {fmt(pattern.dy)}, {pattern.nx}, {pattern.ny})"
    if isinstance(pattern, Ring):
        angle = _formatter(None)(round(pattern.start, 6))
        return f".polarArray({fmt(pattern.radius)}, {angle}, 360, {pattern.count})"
    return f".pushPoints([{', '.join(_tuple(c, fmt) for c in centers)}])"


def _path(loop: Loop, fmt: Format) -> str:
    first = loop.curves[0]
    if isinstance(first, Circle):
        raise InputError("a circle is not a path")
    here = first.start
    calls = [f".moveTo({fmt(here[0])}, {fmt(here[1])})"]
    at = fmt(here[0]), fmt(here[1])
    for i, c in enumerate(loop.curves):
        if isinstance(c, Circle):
            continue
        end = fmt(c.end[0]), fmt(c.end[1])
        if isinstance(c, Arc):
            calls.append(f".threePointArc({_tuple(c.mid, fmt)}, ({end[0]}, {end[1]}))")
        elif i == len(loop.curves) - 1:
            pass  # close() draws the last straight edge
        elif end == at:
            continue  # shorter than the step
        elif end[1] == at[1]:
            calls.append(f".hLineTo({end[0]})")
        elif end[0] == at[0]:
            calls.append(f".vLineTo({end[1]})")
        else:
            calls.append(f".lineTo({end[0]}, {end[1]})")
        at = end
    return "".join(calls) + ".close()"


def _gencad(program: Program) -> str:
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
        names = []
        for loop in e.sketch.loops():
            lines.append(f"loop{k}=wp_sketch{i}{_gencad_loop(loop)}")
            names.append(f".add(loop{k})")
            k += 1
        lines.append(f"solid{i}=wp_sketch{i}{''.join(names)}.extrude({_digits(distance)}{both})")
        lines.append(f"solid=solid.{_METHODS[e.operation]}(solid{i})" if i else f"solid=solid{i}")
    return "\n".join(lines) + "\n"


def _digits(value: float) -> str:
    return repr(float(value))


def _gencad_loop(loop: Loop) -> str:
    def point(p: Point) -> str:
        return f"{_digits(p[0])}, {_digits(p[1])}"

    first = loop.curves[0]
    if isinstance(first, Circle):
        return f".moveTo({point(first.center)}).circle({_digits(first.radius)})"
    calls = [f".moveTo({point(first.start)})"]
    # close() draws a last straight edge, as in the published scripts.
    drawn = loop.curves[:-1] if isinstance(loop.curves[-1], Line) else loop.curves
    for c in drawn:
        if isinstance(c, Line):
            calls.append(f".lineTo({point(c.end)})")
        elif isinstance(c, Arc):
            calls.append(f".threePointArc(({point(c.mid)}), ({point(c.end)}))")
    return "".join(calls) + ".close()"
