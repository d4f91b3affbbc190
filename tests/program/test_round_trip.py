"""Text and back is the identity on canonical programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_compare import PHASES, difference, shifted_planes, swept
from random_programs import programs

from cadcoder.program import canonical, centered, emit, merge_new_bodies, parse, scaled

DATA = Path(os.environ.get("CADCODER_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


@many
@given(programs())
def test_plain_text_and_back_is_the_identity(program):
    c = canonical(program)
    assert difference(parse(emit(c, "plain")), c) < 1e-9


@many
@given(programs())
def test_gencad_text_and_back_is_the_identity_but_for_what_it_cannot_say(program):
    c = canonical(merge_new_bodies(program))
    assert difference(parse(emit(c, "gencad")), shifted_planes(c)) < 1e-9


@many
@given(programs(), st.floats(0.01, 100.0))
def test_canonical_is_idempotent_and_text_stays_the_identity_at_any_scale(program, factor):
    c = canonical(scaled(program, factor))
    assert difference(canonical(c), c) < 1e-12
    assert difference(parse(emit(c, "plain")), c) < 1e-9


@many
@given(programs())
def test_centered_is_a_fixed_point_and_writes_the_same_text(program):
    c = centered(program)
    assert difference(centered(c), c) < 1e-9
    step = 1.37e-5  # no number of these programs is half way between two of its multiples
    text = emit(c, "plain", step)
    assert emit(canonical(parse(emit(c))), "plain", step) == text


@many
@given(programs())
def test_rounded_text_is_read_and_is_near(program):
    c = centered(program)
    read = parse(emit(c, "plain", 1e-3))
    assert [e.operation for e in read.extrudes] == [e.operation for e in c.extrudes]
    for e, f in zip(read.extrudes, c.extrudes, strict=True):
        assert swept(e) == pytest.approx(swept(f), rel=2e-2)


def test_published_scripts_come_back_to_the_letter():
    samples = DATA / "gencad_code_dev" / "samples.jsonl"
    if not samples.exists():
        pytest.skip("no ../shared/data")
    for line in samples.read_text().splitlines():
        code = json.loads(line)["code"]
        program = parse(code)
        assert emit(program, "gencad") == code
        assert difference(parse(emit(canonical(program))), canonical(program)) < 1e-9
