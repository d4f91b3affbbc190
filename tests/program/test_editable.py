"""The editable style reads back as the same program, and is what a person would want to edit."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from program_compare import PHASES, difference, exact_volume, loose_difference, numbers, run, swept
from random_programs import programs

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import canonical, centered, emit, parse, scaled
from cadcoder.program.editable import editable
from cadcoder.program.emit import standard_name
from cadcoder.program.snap import snap

many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
HEAD = "import cadquery as cq\n"
PLATE = (
    HEAD
    + """result = cq.Workplane("XY").rect(80, 50).rarray(64, 34, 2, 2).circle(3).extrude(8)
result = result.union(cq.Workplane("XY", origin=(0, 0, 8)).circle(10).extrude(12))
"""
)
BRACKET = (
    HEAD
    + """
corners = [(-40, -30), (40, -30), (40, -22), (-32, -22), (-32, 30), (-40, 30)]
result = cq.Workplane("XY").polyline(corners).close().extrude(50)
result = result.cut(cq.Workplane("XZ", origin=(0, -30, 0)).moveTo(0, 25).slot2D(30, 8).extrude(-8))
"""
)
RING = HEAD + 'result = cq.Workplane("XY").circle(50).circle(35).extrude(20)\n'
K = 10 * (1 - math.sqrt(0.5))
ROUNDED = f"""{HEAD}result = (
    cq.Workplane("XY")
    .moveTo(-40, -10).threePointArc((-40 + {K}, -20 + {K}), (-30, -20)).hLineTo(30)
    .threePointArc((40 - {K}, -20 + {K}), (40, -10)).vLineTo(10)
    .threePointArc((40 - {K}, 20 - {K}), (30, 20)).hLineTo(-30)
    .threePointArc((-40 + {K}, 20 - {K}), (-40, 10)).close()
    .circle(9).extrude(6)
)
result = result.cut(cq.Workplane("XY", origin=(0, 0, 6)).polarArray(15, 0, 360, 6).circle(2).extrude(-6))
result = result.cut(cq.Workplane("XY", origin=(0, 0, 6)).moveTo(-34, 0).rect(12, 8).extrude(-2.5))
result = result.union(cq.Workplane("YZ", origin=(40, 0, 0)).moveTo(0, 13).rect(40, 14).circle(2).extrude(-6))
"""
SIDES = (
    HEAD
    + """result = cq.Workplane("XZ").rect(60, 40).circle(18).circle(9).extrude(5, both=True)
result = result.intersect(cq.Workplane(cq.Plane((1, 2, 3), (1, 0, 0), (0, 1, 1))).circle(40).extrude(10, both=True))
result = result.union(cq.Workplane("XY").workplane(offset=-3).moveTo(50, 0).polygon(6, 20).extrude(10), clean=False)
"""
)


@many
@given(programs(), st.floats(0.01, 100.0))
def test_editable_text_reads_back_as_the_program(program, factor):
    c = canonical(scaled(program, factor))
    assert loose_difference(canonical(parse(editable(c))), c) < 5e-5


@many
@given(programs())
def test_editable_text_reads_back_exactly_where_the_numbers_are_short(program):
    try:
        c = canonical(snap(canonical(program)))
    except InputError:
        assume(False)
    # Places on a ring and oblique planes have long numbers; rounding may have made loops cross.
    assume(all(standard_name(e.sketch.plane) for e in c.extrudes))
    assume(all(abs(round(v, 4) - v) < 1e-9 for e in c.extrudes for q in e.sketch.loops() for v in numbers(q)))
    try:  # circles that rounding made touch are no sketch any more
        again = parse(emit(c))
    except InputError:
        assume(False)
    assume(difference(again, c) < 1e-9)
    assert difference(canonical(parse(editable(c))), c) < 1e-9


@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(programs(most=3))
def test_cadquery_makes_the_same_of_the_editable_text(program):
    program = centered(program)
    try:
        solid = build(program, math.pi / 250)
    except InputError:
        assume(False)
    assume(solid.volume > max(1e-3 * float(solid.extents.max()) ** 3, 0.02 * swept(program.extrudes[0])))
    assert exact_volume(run(editable(program))) == pytest.approx(solid.volume, rel=1e-3)


@pytest.mark.parametrize("code", [PLATE, BRACKET, RING, ROUNDED, SIDES])
def test_examples_read_back_and_run(code):
    program = canonical(parse(code))
    text = editable(program)
    assert difference(parse(text), program) < 1e-9
    assert exact_volume(run(text)) == pytest.approx(exact_volume(run(emit(program))), rel=1e-9)


def test_a_plate_with_a_boss_is_named_as_a_person_would():
    text = editable(parse(PLATE), unit="mm", source="photo\nof a plate.png")
    assert "# All lengths in mm." in text and "# photo of a plate.png" in text
    assert "hole_diameter = 6" in text and "hole_edge = 8" in text and "thickness = 8" in text
    assert ".rarray(width - 2 * hole_edge, depth - 2 * hole_edge, 2, 2)" in text
    assert "# Base plate with four holes" in text and "# Boss" in text
    assert 'cq.Workplane("XY", origin=(0, 0, thickness))' in text
    assert text.rstrip().endswith("result = result.union(boss)")


def test_changing_a_number_at_the_top_changes_what_follows_from_it():
    thicker = editable(parse(PLATE)).replace("thickness = 8", "thickness = 11")
    base, boss = parse(thicker).extrudes
    assert base.forward == 11 and boss.sketch.plane.origin == (0, 0, 11)
    wider = re.sub("width = 80", "width = 100", editable(parse(PLATE)))
    assert max(h.bounds()[2] for h in parse(wider).extrudes[0].sketch.profiles[0].holes) == 45
    rounder = editable(parse(ROUNDED)).replace("corner_radius = 10", "corner_radius = 5")
    assert exact_volume(run(rounder)) == pytest.approx(exact_volume(run(ROUNDED)) + 75 * (4 - math.pi) * 6, rel=1e-2)


def test_a_bracket_is_written_by_its_wall():
    text = editable(parse(BRACKET))
    assert "wall_thickness = 8" in text and "(-width / 2, -depth / 2)" in text
    assert ".extrude(-wall_thickness)" in text and "slot_depth" not in text


def test_a_ring_has_two_diameters():
    text = editable(parse(RING))
    assert "outer_diameter = 100" in text and "inner_diameter = 70" in text and "# Ring" in text


def test_rounding_to_a_step():
    program = scaled(parse(PLATE), 1.00123)
    assert "width = 80.1\n" in editable(program, step=0.01)
    assert "width = 80\n" in editable(program, step=1.0)
