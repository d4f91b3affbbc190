"""Both dialects, CadQuery and our own build make one solid of a program."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from program_compare import PHASES, exact_volume, mesh, run, swept
from random_programs import programs

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import Program, canonical, centered, emit, merge_new_bodies, parse, scaled

#: Facets small enough for volumes to 1e-3 even of shallow arcs.
FINE = math.pi / 250

#: For comparing like with like.
COARSE = math.pi / 36


def solid_of(program: Program, arc_step: float = FINE):
    """The program's solid; programs that leave nothing, or a sliver, are not compared."""
    try:
        solid = build(program, arc_step)
    except InputError:
        assume(False)
    assume(solid.volume > 1e-3 * float(solid.extents.max()) ** 3)
    assume(solid.volume > 0.02 * swept(program.extrudes[0]))
    return solid


@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(programs())
def test_other_forms_build_the_same_solid(program):
    solid = solid_of(program, COARSE)
    assert build(canonical(program), COARSE).iou(solid) > 0.999
    assert build(centered(program), COARSE).volume == pytest.approx(solid.volume, rel=1e-3)
    assert build(scaled(program, 0.37, (1.0, -20.0, 3.0)), COARSE).volume == pytest.approx(
        solid.volume * 0.37**3, rel=1e-3
    )


@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
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
