"""Structures that change where the picture asks for it."""

import pytest

from cadcoder.geometry.build import build
from cadcoder.geometry.metrics import iou_best
from cadcoder.program import emit, parse
from cadcoder.program.types import Arc, Circle, Line, Operation
from cadcoder.refine import refine
from cadcoder.refine.fit import merit
from cadcoder.refine.grow import WORTH, grow
from cadcoder.refine.poses import small
from cadcoder.refine.reshape import alternatives, is_rectangle, reshaped
from cadcoder.render.compare import observe
from cadcoder.render.gencad import render_gencad

HEAD = "import cadquery as cq\n\nresult = cq.Workplane"
BOX = HEAD + '("XY").rect(100, 60).extrude(20)\n'


def seen(code):
    return small((observe(render_gencad(build(parse(code)))),))


def iou(a, b):
    return float(iou_best(build(parse(a)), build(parse(b))))


LOOPS = {
    "rectangle": '("XY").rect(80, 30).extrude(10)',
    "square": '("XY").rect(40, 40).extrude(10)',
    "circle": '("XY").circle(20).extrude(10)',
    "polygon": '("XY").moveTo(0, 0).lineTo(50, 0).lineTo(60, 30).lineTo(20, 40).close().extrude(10)',
    "slot": '("XY").slot2D(60, 20).extrude(10)',
}


@pytest.mark.parametrize("name", LOOPS)
def test_alternatives_are_other_loops_in_the_same_place(name):
    program = parse(HEAD + LOOPS[name] + "\n")
    loop = program.extrudes[0].sketch.profiles[0].outer
    x0, y0, x1, y1 = loop.bounds()
    found = list(alternatives(loop))
    assert len(found) >= 4
    for other in found:
        assert other != loop
        assert other.signed_area() != 0
        a0, b0, a1, b1 = other.bounds()
        slack = 0.3 * max(x1 - x0, y1 - y0)
        assert a0 > x0 - slack and b0 > y0 - slack and a1 < x1 + slack and b1 < y1 + slack
        # The middle stays.
        assert abs((a0 + a1) - (x0 + x1)) <= 2 * slack and abs((b0 + b1) - (y0 + y1)) <= 2 * slack


def test_a_rectangle_becomes_what_is_mistaken_for_one():
    loop = parse(BOX).extrudes[0].sketch.profiles[0].outer
    assert is_rectangle(loop)
    kinds = [tuple(type(c) for c in other.curves) for other in alternatives(loop)]
    assert (Circle,) in kinds
    assert (Line, Line, Line) in kinds
    assert (Line, Arc, Line, Arc) in kinds
    assert (Line, Arc, Line, Line) in kinds
    assert len([k for k in kinds if len(k) == 8 and set(k) == {Line}]) == 4
    areas = sorted({round(abs(other.signed_area())) for other in alternatives(loop)})
    assert areas[0] == 3000 and areas[-1] < 6000


def test_an_extrude_is_left_out_or_turned_round():
    code = BOX + 'result = result.union(cq.Workplane("XY", origin=(0, 0, 20)).circle(10).extrude(15))\n'
    program = parse(code)
    others = list(reshaped(program))
    first, second = program.extrudes
    assert any(other.extrudes == (first,) for other in others)
    assert any(len(o.extrudes) == 2 and o.extrudes[1].operation is Operation.CUT for o in others)
    assert any(len(o.extrudes) == 2 and o.extrudes[1].backward == second.forward for o in others)
    assert all(len(o.extrudes) in (1, 2) for o in others)
    texts = [emit(other, "plain") for other in others]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    "truth",
    [
        BOX.replace(".extrude", ".pushPoints([(25, 5)]).circle(12).extrude"),
        BOX + 'result = result.union(cq.Workplane("XY", origin=(-20, 0, 20)).circle(14).extrude(25))\n',
        HEAD + '("XY").slot2D(100, 60).extrude(20)\n',
        HEAD + '("XZ").polyline([(-50, 0), (50, 0), (50, 20), (0, 20), (0, 45), (-50, 45)]).close().extrude(60)\n',
    ],
    ids=["hole", "boss", "slot", "step"],
)
def test_what_is_missing_is_found(truth):
    views = seen(truth)
    fit = grow(BOX, views, tries=500, seconds=60)
    assert merit(fit.likeness, fit.code) >= merit(fit.first, BOX) + WORTH
    assert iou(fit.code, truth) > iou(BOX, truth) + 0.05
    assert iou(fit.code, truth) > 0.85
    assert fit.tried <= 520


def test_two_openings_that_are_only_worth_it_together():
    plate = HEAD + '("XY").rect(84, 100).extrude(9.6)\n'
    ribs = '("XZ", origin=(0, -50, 0)).pushPoints([(-19, 3.5), (19, 3.5)]).rect(31, 8).extrude(-100))\n'
    truth = plate + "result = result.cut(cq.Workplane" + ribs
    fit = grow(plate, seen(truth), tries=400, seconds=60)
    cuts = parse(fit.code).extrudes[1:]
    assert [cut.operation for cut in cuts] == [Operation.CUT] * 2
    assert all(cut.forward + cut.backward > 100 for cut in cuts)  # through: nothing shows that they would end inside
    assert iou(plate, truth) < 0.4 and iou(fit.code, truth) > 0.6


def test_the_right_structure_stays():
    fit = grow(BOX, seen(BOX), tries=300, seconds=60)
    assert fit.code == BOX and fit.likeness == fit.first


def test_the_same_each_time():
    views = seen(BOX.replace(".extrude", ".pushPoints([(25, 5)]).circle(12).extrude"))
    assert grow(BOX, views, tries=150, seconds=60) == grow(BOX, views, tries=150, seconds=60)


def test_what_cannot_be_read_is_left():
    assert grow("import cadquery as cq\nresult = cq.Workplane().sphere(3)\n", seen(BOX), tries=9, seconds=9) is None


def test_a_fit_changes_structure_from_the_usual_effort_on():
    truth = BOX.replace(".extrude", ".pushPoints([(25, 5)]).circle(12).extrude")
    view = observe(render_gencad(build(parse(truth))))
    little, usual = (refine([BOX], view, tries=60, effort=effort, beat=0.0) for effort in (0.9, 1.0))
    assert "circle" not in little.code and "circle" in usual.code
    assert iou(usual.code, truth) > max(0.95, iou(little.code, truth) + 0.03)
    assert usual.start == BOX and usual.exact
