"""The editable style: a program as a script with named numbers at the top and one commented block a feature."""

from __future__ import annotations

from dataclasses import replace

from cadcoder.program.canonical import canonical
from cadcoder.program.emit import standard_name
from cadcoder.program.features import Feature, feature, hole_word, is_ring
from cadcoder.program.gencad import METHODS
from cadcoder.program.layout import Layout, place_points
from cadcoder.program.parameters import Levels, Parameters, Sum
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.sketches import alike, parts
from cadcoder.program.types import Extrude, Loop, Operation, Plane, Program

#: A statement longer than this is broken into one call a line.
WIDTH = 96


def editable(program: Program, *, unit: str | None = "mm", source: str | None = None, step: float | None = None) -> str:
    """Return CadQuery text for a person to edit; ``parse`` reads it back as the same program in canonical form.

    Args:
        program: the part.
        unit: unit of its lengths, for a comment; None says nothing.
        source: what the part was made from, for a comment.
        step: round every length to a multiple of this; None rounds only what is under a millionth of the size.
    """
    program = canonical(program)
    writer = _Writer(Parameters(_size(program), step))
    blocks = [writer.block(e, i) for i, e in enumerate(program.extrudes)]
    lines = ["import math", ""] if writer.layout.needs_math else []
    lines += ["import cadquery as cq", ""]
    if source:
        lines.append(f"# {' '.join(source.split())}")
    if unit:
        lines.append(f"# All lengths in {' '.join(unit.split())}.")
    lines += [*writer.parameters.lines()]
    for block in blocks:
        lines += ["", *block]
    return "\n".join(lines) + "\n"


def _size(program: Program) -> float:
    """Return the largest coordinate or length of the program."""
    most = 0.0
    for e in program.extrudes:
        most = max(most, e.forward + e.backward, *(abs(v) for v in e.sketch.plane.origin))
        most = max(most, *(abs(v) for loop in e.sketch.loops() for v in loop.bounds()))
    return most


class _Writer:
    """Writes blocks; the parameters and the places of faces gather on the way."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.levels = Levels(parameters)
        self.layout = Layout(parameters, self.levels)

    def block(self, extrude: Extrude, index: int) -> list[str]:
        """Return the lines of one feature."""
        axes = Axes.of(extrude.sketch.plane)
        self.layout.axes = axes.plane
        found = feature(extrude, index, axes.passes(extrude, self.levels))
        self.layout.before = []
        calls = self.chain(extrude, found, axes)
        lines = [f"# {found.title}", *self.layout.before]
        if index == 0:
            return lines + statement("result", calls)
        local = self.parameters.fresh(found.word + ("s" if len(extrude.sketch.profiles) > 1 else ""))
        separate = ", clean=False" if extrude.operation is Operation.NEW else ""
        lines += statement(local, calls)
        return [*lines, f"result = result.{METHODS[extrude.operation]}({local}{separate})"]

    def chain(self, extrude: Extrude, found: Feature, axes: Axes) -> list[str]:
        """Return the calls that make an extrude."""
        main, cuts, rest = parts(extrude.sketch.profiles)
        outers = {id(p.outer) for p in extrude.sketch.profiles}
        ring = len(extrude.sketch.profiles) == 1 and is_ring(extrude.sketch.profiles[0])
        plane, origin = self.workplane(extrude.sketch.plane, found.word, axes)
        # The loops first: what they are called decides what the height is called.
        drawn = self.loops(main, outers, found.word, ring, axes)
        calls = [plane, *drawn, *self.extent(extrude, found.word, origin, axes)]
        if ".workplane" in calls[-2]:
            calls.insert(1, calls.pop(-2))
        for loops in cuts:
            before, after = depth_calls(calls)
            inner = [plane, *before, *self.loops(loops, outers, found.word, ring, axes), *after]
            calls.append(f".cut({''.join(inner)})")
        if rest:
            inner = self.chain(replace(extrude, sketch=replace(extrude.sketch, profiles=rest)), found, axes)
            calls.append(f".union({''.join(inner)})")
        return calls

    def workplane(self, plane: Plane, word: str, axes: Axes) -> tuple[str, Sum]:
        """Return the call that makes a workplane, and its place along its normal."""
        p = self.parameters
        name = standard_name(plane)
        if axes.normal is None or name is None:
            origin = ", ".join(p.text(v) for v in plane.origin)
            x, n = (", ".join(repr(v + 0.0) for v in vector) for vector in (plane.x_dir, plane.normal))
            if name is not None:
                return f'cq.Workplane("{name}", origin=({origin}))', Sum()
            return f"cq.Workplane(cq.Plane(origin=({origin}), xDir=({x}), normal=({n})))", Sum()
        value = plane.origin[axes.normal]
        at = self.levels.find(axes.normal, value)
        if at is None:
            role = f"{word or 'base'}_{'xyz'[axes.normal]}"
            at = Sum.of(p.name(role, abs(value)), 1.0 if value > 0 else -1.0)
        if not at.terms:
            return f'cq.Workplane("{name}")', Sum()
        values = ["0", "0", "0"]
        values[axes.normal] = p.write(at)
        return f'cq.Workplane("{name}", origin=({", ".join(values)}))', at

    def extent(self, e: Extrude, word: str, origin: Sum, axes: Axes) -> list[str]:
        """Return the calls that sweep a sketch, and remember where the ends are."""
        p, cut = self.parameters, e.operation in (Operation.CUT, Operation.INTERSECT)
        role = axes.length_role(e, word)

        def end(length: float, sense: float, role: str) -> Sum:
            """A length along the normal as a sum: up to a known face, else a number of its own."""
            if axes.normal is not None:
                face = self.levels.find(axes.normal, p.value(origin) + sense * length)
                if face is not None and (face - origin).terms and p.near((face - origin) * sense, length):
                    return (face - origin) * sense
            return Sum.of(p.name(role, length))

        up = axes.sign
        if e.is_symmetric:
            half = end(e.forward, up, "") if self._known(e, origin, axes) else Sum.of(p.name(role, 2 * e.forward), 0.5)
            ends, calls = (half, half), [f".extrude({p.write(half)}, both=True)"]
        elif e.backward == 0:
            ahead = end(e.forward, up, role)
            ends, calls = (ahead, Sum()), [f".extrude({p.write(ahead)})"]
        elif e.forward == 0:
            behind = end(e.backward, -up, role)
            ends, calls = (Sum(), behind), [f".extrude({p.write(behind * -1.0)})"]
        else:
            ahead, behind = end(e.forward, up, f"{role}_ahead"), end(e.backward, -up, f"{role}_behind")
            ends = (ahead, behind)
            calls = [f".workplane(offset={p.write(behind * -1.0)})", f".extrude({p.write(ahead + behind)})"]
        if axes.normal is not None and not cut:
            at = p.value(origin)
            self.levels.add(axes.normal, at + up * e.forward, origin + ends[0] * up)
            self.levels.add(axes.normal, at - up * e.backward, origin - ends[1] * up)
        return calls

    def _known(self, e: Extrude, origin: Sum, axes: Axes) -> bool:
        if axes.normal is None:
            return False
        face = self.levels.find(axes.normal, self.parameters.value(origin) + axes.sign * e.forward)
        return face is not None and bool((face - origin).terms)

    def loops(self, loops: list[Loop], outers: set[int], word: str, ring: bool, axes: Axes) -> list[str]:
        """Return the calls that draw the loops."""
        p, calls = self.parameters, []
        here: str | None = place_points(["0"], ["0"])
        for part in ([q for q in loops if id(q) in outers], [q for q in loops if id(q) not in outers]):
            outer = bool(part) and id(part[0]) in outers
            for group in alike(part, lambda s: f"{s.kind} {[p.tidy(v) for v in s.sizes]}"):
                if isinstance(group, Loop):
                    calls += self.layout.outline(group, word if outer else "opening", outer)
                    here = None
                    continue
                shape = group[0]
                name = word if outer else hole_word(shape)
                # The hole of a ring belongs to it.
                sort = ("outer_" if outer else "inner_") if ring else ""
                call, size = self.shape(shape, word if ring else name, sort, axes)
                there, at = self.layout.place([s.center for s in group], name, shape, size)
                if there != here:
                    calls.append(there)
                calls.append(call)
                here = there
                if outer and at is not None:
                    self.layout.remember(shape, at, size)
        return calls

    def shape(self, shape: Shape, word: str, ring: str, axes: Axes) -> tuple[str, tuple[Sum, Sum]]:
        """Return the call that draws a shape, and its extents along the sketch's axes."""
        p, s = self.parameters, shape.sizes
        lead = (f"{word}_" if word else "") + ring
        if shape.kind == "circle":
            name = p.name(f"{lead}diameter", 2 * s[0])
            return f".circle({name} / 2)", (Sum.of(name), Sum.of(name))
        if shape.kind == "polygon":
            return f".polygon({round(s[0])}, {p.name(f'{lead}corner_diameter', s[1])})", (Sum(), Sum())
        if shape.kind == "slot":
            sizes = p.name(f"{lead}length", s[0]), p.name(f"{lead}width", s[1])
            angle = "" if s[2] == 0 else f", {_angle(s[2])}"
            return f".slot2D({', '.join(sizes)}{angle})", (Sum(), Sum())
        w, h = (p.name(role, v) for role, v in zip(axes.roles(word), s, strict=True))
        return f".rect({w}, {h})", (Sum.of(w), Sum.of(h))


def depth_calls(calls: list[str]) -> tuple[list[str], list[str]]:
    """Return the calls of a chain that set its depth: those before the loops, and those after."""
    return [c for c in calls if c.startswith(".workplane(")], [c for c in calls if c.startswith(".extrude(")]


def _angle(degrees: float) -> str:
    rounded = round(degrees, 4)
    value = rounded if abs(rounded - degrees) < 1e-7 else degrees
    return str(int(value)) if value == int(value) else repr(value)


def statement(name: str, calls: list[str]) -> list[str]:
    """Return an assignment of a chain, on one line if it fits, else with one call a line."""
    line = f"{name} = {''.join(calls)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{name} = (", *(f"    {c}" for c in calls), ")"]


class Axes:
    """Which of the world's axes a sketch's axes run along: ``plane`` (x, y), ``normal`` and its ``sign``."""

    def __init__(self, plane: tuple[int, int] | None, normal: int | None, sign: float) -> None:
        self.plane, self.normal, self.sign = plane, normal, sign

    @classmethod
    def of(cls, plane: Plane) -> Axes:
        """Return the axes of a canonical plane; none for an oblique one."""
        known = {"XY": ((0, 1), 2, 1.0), "XZ": ((0, 2), 1, -1.0), "YZ": ((1, 2), 0, 1.0)}
        found = known.get(standard_name(plane) or "")
        if found is None or any(plane.origin[k] != 0 for k in found[0]):
            return cls(None, None, 1.0)
        return cls(*found)

    def passes(self, e: Extrude, levels: Levels) -> bool:
        """Whether the extrude goes through all that was made before."""
        if self.normal is None:
            return False
        at = e.sketch.plane.origin[self.normal]
        ends = sorted((at + self.sign * e.forward, at - self.sign * e.backward))
        low, high = levels.span(self.normal)
        slack = levels.parameters.tolerance
        return low < high and ends[0] <= low + slack and ends[1] >= high - slack

    def roles(self, word: str) -> tuple[str, str]:
        """Return what a rectangle's sides are called."""
        lead = f"{word}_" if word else ""
        if self.plane is None or word in ("pocket", "opening", "slot", "cutout"):
            return f"{lead}length", f"{lead}width"
        names = ("width", "depth", "height")
        return lead + names[self.plane[0]], lead + names[self.plane[1]]

    def length_role(self, e: Extrude, word: str) -> str:
        """Return what the swept length is called."""
        lead = f"{word}_" if word else ""
        if e.operation is Operation.CUT:
            return f"{lead}depth"
        if word:
            return f"{lead}height" if self.normal is None else lead + ("width", "depth", "height")[self.normal]
        shape = describe(e.sketch.profiles[0].outer)
        x0, y0, x1, y1 = e.sketch.profiles[0].outer.bounds()
        length = e.forward + e.backward
        if length <= 0.4 * min(x1 - x0, y1 - y0) and (shape is None or shape.kind != "circle" or self.normal == 2):
            return "thickness"
        return "height" if self.normal is None else ("length", "depth", "height")[self.normal]
