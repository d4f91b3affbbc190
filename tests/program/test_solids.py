"""Both dialects, CadQuery and our own build make one solid of a program."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from program_compare import PHASES, exact_volume, mesh, run
from random_programs import programs

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import Program, canonical, centered, emit, merge_new_bodies, parse, scaled

#: Facets small enough for volumes to 1e-3 even of shallow arcs.
FINE = math.pi / 500


def solid_of(program: Program):
    """The program's solid; programs that leave nothing are not compared."""
    try:
        solid = build(program, FINE)
    except InputError:
        assume(False)
    assume(solid.volume > 1e-3 * float(solid.extents.max()) ** 3)
    return solid


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(programs())
def test_other_forms_build_the_same_solid(program):
    solid = solid_of(program)
    assert build(canonical(program), FINE).iou(solid) > 0.999
    assert build(centered(program), FINE).volume == pytest.approx(solid.volume, rel=1e-3)
    assert build(scaled(program, 0.37), FINE).volume == pytest.approx(solid.volume * 0.37**3, rel=1e-3)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(programs(most=3), st.sampled_from(["plain", "gencad"]))
def test_cadquery_makes_of_the_text_what_the_program_says(program, dialect):
    program = canonical(program if dialect == "plain" else merge_new_bodies(program))
    solid = solid_of(program)
    text = emit(program, dialect)
    shape = run(text)
    assert shape.isValid()
    assert exact_volume(shape) == pytest.approx(solid.volume, rel=1e-3)
    assert mesh(shape).iou(solid) > 0.998
    assert build(parse(text), FINE).iou(solid) > 0.999
