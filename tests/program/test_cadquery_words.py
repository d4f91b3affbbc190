"""The parser's words mean what CadQuery's words mean: scripts by hand, run by CadQuery and read by us."""

from __future__ import annotations

import math

import pytest
from program_compare import exact_volume, mesh, run

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import Operation, canonical, emit, parse

HEAD = "import cadquery as cq\n"

CHAINS = [
    'cq.Workplane("XY").rect(20, 10).circle(2).extrude(5)',
    'cq.Workplane("XY").moveTo(7, 3).rect(20, 10).circle(2).extrude(5)',
    'cq.Workplane("XY").moveTo(7, 3).rect(20, 10, centered=False).circle(2).extrude(5)',
    'cq.Workplane("XY").rect(20, 10, centered=(True, False)).extrude(5)',
    'cq.Workplane("XY").rect(-20, 10, centered=False).extrude(5)',
    'cq.Workplane("XY").pushPoints([(0, 0), (30, 5)]).circle(8).circle(3).extrude(5)',
    'cq.Workplane("XY").pushPoints([(0, 0), (30, 5)]).rect(8, 6).polygon(6, 3).extrude(5)',
    'cq.Workplane("XY").rarray(20, 15, 3, 2).slot2D(12, 4, 30).extrude(5)',
    'cq.Workplane("XY").rarray(20, 15, 3, 2, center=False).rect(12, 4).extrude(5)',
    'cq.Workplane("XY").rarray(20, 15, 3, 2, center=(True, False)).rect(12, 4).extrude(5)',
    'cq.Workplane("XY").polarArray(40, 10, 360, 5).circle(4).circle(2).extrude(5)',
    'cq.Workplane("XY").polarArray(40, 10, 360, 5).rect(12, 4).extrude(5)',
    'cq.Workplane("XY").polarArray(40, 10, 360, 5, rotate=False).rect(12, 4).extrude(5)',
    'cq.Workplane("XY").polarArray(40, 10, 90, 4).slot2D(12, 4).circle(1).extrude(5)',
    'cq.Workplane("XY").polarArray(40, 10, 30, 4, fill=False).polygon(3, 9).extrude(5)',
    'cq.Workplane("XY").polarArray(30, 0, 360, 4).rect(9, 4, centered=False).extrude(5)',
    'cq.Workplane("XY").center(5, 6).polarArray(30, 0, 180, 3).rect(9, 4).extrude(5)',
    'cq.Workplane("XY").slot2D(30, 8, 30).extrude(5)',
    'cq.Workplane("XY").slot2D(30, 8, -75).extrude(5)',
    'cq.Workplane("XY").polygon(5, 30).extrude(5)',
    'cq.Workplane("XY").polygon(5, 30, circumscribed=True).extrude(5)',
    'cq.Workplane("XZ").rect(20, 10).extrude(5)',
    'cq.Workplane("XZ", origin=(1, 2, 3)).rect(20, 10).extrude(-5)',
    'cq.Workplane("YZ", origin=(1, 2, 3)).moveTo(2, 5).rect(20, 10).extrude(5, both=True)',
    'cq.Workplane("ZX", (1, 2, 3)).moveTo(2, 5).rect(20, 10).extrude(5)',
    'cq.Workplane("left").moveTo(2, 5).rect(20, 10).extrude(5)',
    'cq.Workplane("top", origin=(1, 2, 3)).moveTo(2, 5).rect(20, 10).extrude(5)',
    'cq.Workplane("back").moveTo(2, 5).rect(20, 10).extrude(5)',
    'cq.Workplane("right").moveTo(2, 5).rect(20, 10).extrude(5)',
    'cq.Workplane("XY").workplane(offset=4).rect(20, 10).extrude(5)',
    'cq.Workplane("XZ", origin=(0, 3, 0)).workplane(offset=4).moveTo(1, 1).rect(20, 10).extrude(-5)',
    'cq.Workplane("XY").moveTo(9, 9).workplane(offset=4).rect(20, 10).extrude(5)',
    'cq.Workplane("XY").center(9, 9).workplane(offset=4).center(1, 2).rect(20, 10).extrude(5)',
    'cq.Workplane("XY").workplane(offset=4).rect(20, 10).extrude(5, both=True)',
    'cq.Workplane("XY").rect(20, 10).extrude(-5, both=True)',
    "cq.Workplane(cq.Plane((1, 2, 3), (1, 1, 0), (0, 0.2, 1))).moveTo(3, 4).rect(20, 10).extrude(5)",
    "cq.Workplane(cq.Plane((1, 2, 3), None, (1, 2, 3))).moveTo(3, 4).rect(20, 10).extrude(5)",
    "cq.Workplane(cq.Plane((1, 2, 3), normal=(3, -2, 1))).moveTo(3, 4).rect(20, 10).extrude(5)",
    "cq.Workplane(cq.Plane(cq.Vector(1, 2, 3), normal=cq.Vector(-1, -9, 1))).moveTo(3, 4).rect(20, 10).extrude(5)",
    'cq.Workplane("XY").lineTo(30, 0).lineTo(30, 20).close().circle(2).extrude(5)',
    'cq.Workplane("XY").moveTo(-20, 0).threePointArc((0, 25), (20, 0)).close().circle(2).extrude(5)',
    'cq.Workplane("XY").moveTo(1, 2).hLine(30).vLine(20).line(-10, 5).hLineTo(1).close().extrude(5)',
    'cq.Workplane("XY").center(5, 5).moveTo(1, 2).hLineTo(30).vLineTo(20).lineTo(-10, 5).close().extrude(5)',
    'cq.Workplane("XY").move(3, 4).move(1, 1).line(30, 0).line(0, 20).close().extrude(5)',
    'cq.Workplane("XY").polyline([(0, 0), (30, 0), (30, 20), (0, 20)]).close().extrude(5)',
    'cq.Workplane("XY").moveTo(5, 5).polyline([(30, 0), (30, 20)], includeCurrent=True).close().extrude(5)',
    'cq.Workplane("XY").lineTo(30, 0).polyline([(30, 0), (30, 20), (0, 20)]).close().extrude(5)',
    'cq.Workplane("XY").rect(60, 40).rect(40, 20, forConstruction=True).vertices().circle(3).extrude(5)',
    'cq.Workplane("XY").circle(30).polygon(6, 40, forConstruction=True).vertices().circle(3).extrude(5)',
    'cq.Workplane("XZ").box(10, 20, 30)',
    'cq.Workplane("XY").center(3, 4).box(10, 20, 30, centered=(True, False, False))',
    'cq.Workplane("XY").pushPoints([(0, 0), (50, 0)]).box(10, 20, 30, centered=False)',
    'cq.Workplane("YZ").moveTo(1, 2).cylinder(10, 4)',
    'cq.Workplane("XY").rect(20, 20).circle(8).extrude(5).union(cq.Workplane("XY").circle(4).extrude(5))',
]

SCRIPTS = {
    "wires are shared by the chains of one workplane": """
w = cq.Workplane("XY")
w.moveTo(20, 0).circle(3)
result = w.rect(10, 10).extrude(4)
""",
    "add() changes the stack in place": """
w = cq.Workplane("XY")
a = w.moveTo(20, 5).circle(9)
w.add(a)
result = w.circle(3).extrude(4)
""",
    "an extrude takes the wires, and the workplane draws on": """
w = cq.Workplane("XY")
a = w.rect(10, 10).extrude(4)
b = w.circle(3).extrude(9)
result = a.union(b)
""",
    "operators": """
a = cq.Workplane("XY").rect(30, 30).extrude(4)
b = cq.Workplane("XY").circle(5).extrude(9)
c = cq.Workplane("XY").rect(25, 40).extrude(20, both=True)
result = (a + b) * c
result = result - cq.Workplane("XY").circle(2).extrude(50, both=True)
""",
    "a part with a cut of its own in a union": """
a = cq.Workplane("XY").rect(30, 30).extrude(4)
b = cq.Workplane("XY").circle(10).extrude(9)
b = b.cut(cq.Workplane("XY").circle(5).extrude(9))
result = a.union(b)
""",
    "a part of two extrudes in a cut": """
a = cq.Workplane("XY").rect(30, 30).extrude(4)
b = cq.Workplane("XY").circle(10).extrude(2).union(cq.Workplane("XY").circle(5).extrude(9))
result = a.cut(b)
""",
    "names, arithmetic, several at once, annotations": """
width, depth = 40, 30
hole: float = 2.5
edge = -(-6)
width += 2 * hole
result = cq.Workplane("XY").rect(width, depth).extrude(math.pi)
result = result.cut(cq.Workplane("XY").rarray(width - 2 * edge, depth - 2 * edge, 2, 2).circle(hole).extrude(10))
show_object(result)
""",
}


def same(code: str) -> None:
    program = parse(code)
    shape = run("import math\nshow_object = lambda part: None\n" + code)
    solid = build(program, math.pi / 200)
    assert exact_volume(shape) == pytest.approx(solid.volume, rel=1e-3)
    assert mesh(shape).iou(solid) > 0.998
    assert build(parse(emit(canonical(program))), math.pi / 200).iou(solid) > 0.999


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_means_what_cadquery_makes(chain):
    same(f"{HEAD}result = {chain}\n")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_means_what_cadquery_makes(name):
    same(HEAD + SCRIPTS[name])


def test_islands_and_touching_loops_are_written_so_that_cadquery_makes_sound_solids():
    W = 'cq.Workplane("XY")'
    for chain, volume in (
        (f"{W}.rect(20, 20).circle(8).circle(4).extrude(1)", 400 - 48 * math.pi),
        (f"{W}.rect(20, 20).circle(8).circle(4).circle(2).extrude(1)", 400 - 52 * math.pi),
        (f"{W}.pushPoints([(0, 0), (4, 0)]).circle(2).extrude(1)", 8 * math.pi),
        (f"{W}.circle(4).moveTo(2, 0).circle(2).extrude(1)", 12 * math.pi),
        (f"{W}.rect(20, 20).pushPoints([(-2, 0), (2, 0)]).circle(2).extrude(1)", 400 - 8 * math.pi),
        (f"{W}.rect(10, 10).moveTo(7, 0).circle(2).extrude(1)", 100 + 4 * math.pi),
    ):
        program = canonical(parse(f"{HEAD}result = {chain}\n"))
        assert len(program.extrudes) == 1
        for dialect in ("plain", "gencad"):
            text = emit(program, dialect)
            shape = run(text)
            assert shape.isValid()
            assert exact_volume(shape) == pytest.approx(volume, rel=1e-6)
            assert parse(text) == program


def test_a_later_body_of_its_own_is_kept_in_plain_text():
    code = HEAD + 'result = cq.Workplane("XY").circle(4).extrude(2)\n'
    code += 'result = result.union(cq.Workplane("XY").moveTo(20, 0).circle(4).extrude(2), clean=False)\n'
    assert [e.operation for e in parse(code).extrudes] == [Operation.NEW, Operation.NEW]
    assert emit(parse(code)) == HEAD + "\n" + code[len(HEAD) :]


def test_the_part_is_what_the_executor_would_take():
    a, b = ('cq.Workplane("XY").circle(4).extrude(2)', 'cq.Workplane("XY").circle(9).extrude(2)')

    def radius(code: str) -> float:
        return parse(HEAD + code).extrudes[0].sketch.profiles[0].outer.curves[0].radius

    assert radius(f"result = {a}\nother = {b}\n") == 4
    assert radius(f"one = {a}\nother = {b}\n") == 9
    assert radius(f"one = {b}\nresult = {a}\nshow_object(one)\n") == 9


@pytest.mark.parametrize(
    "chain",
    [
        'cq.Workplane("XY").rect(10, 10).moveTo(5, 0).circle(2).extrude(1)',  # loops that cross
        'cq.Workplane("XY").pushPoints([(0, 0), (3, 0)]).circle(2).extrude(1)',
        'cq.Workplane("XY").circle(4).circle(4).extrude(1)',  # nothing is left
        'cq.Workplane("XY").circle(4).lineTo(1, 1).close().extrude(1)',  # no current point after a wire
        'cq.Workplane("XY").polarArray(9, 0, 360, 3).lineTo(1, 1).close().extrude(1)',
        'cq.Workplane("XY").lineTo(4, 0).lineTo(4, 4).extrude(1)',  # not closed
        'cq.Workplane("XY").lineTo(4, 0).circle(4).extrude(1)',
        'cq.Workplane("XY").lineTo(4, 0).moveTo(9, 9).lineTo(4, 4).close().extrude(1)',
        'cq.Workplane("XY").circle(4).workplane(offset=3).circle(2).extrude(1)',
        'cq.Workplane("XY").circle(4).extrude(1, combine="cut")',
        'cq.Workplane("XY").circle(4).extrude(1, taper=5)',
        'cq.Workplane("XY").circle(4).extrude("next")',
        'cq.Workplane("XY").circle(4).extrude(0)',
        'cq.Workplane("XY").circle(-4).extrude(1)',
        'cq.Workplane("XY").slot2D(4, 4).extrude(1)',
        'cq.Workplane("XY").ellipse(4, 3).extrude(1)',
        'cq.Workplane("XY").circle(4).extrude(1).faces(">Z").hole(2)',
        'cq.Workplane("XY").circle(4).revolve()',
        'cq.Workplane("XYZ").circle(4).extrude(1)',
        'cq.Workplane("XY").add(cq.Workplane("XY").circle(3)).extrude(1)',
        'cq.Workplane("XY").rect(9, 9).extrude(4).intersect(cq.Workplane("XY").circle(4).extrude(2).union('
        'cq.Workplane("XY").circle(2).extrude(4)))',
    ],
)
def test_what_a_program_cannot_say_is_refused_with_its_line(chain):
    with pytest.raises(InputError, match=r"^line 2: "):
        parse(f"{HEAD}result = {chain}\n")
