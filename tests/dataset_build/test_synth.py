"""Synthetic parts: seeded, on the grid, one closed body of the right size, each feature worth its line."""

import numpy as np
import pytest

from cadcoder.geometry.build import build
from cadcoder.program import Operation, canonical, emit, parse
from cadcoder.program.snap import FINE
from dataset_build.synth import MAX_CODE, sample

SEEDS = list(range(60))
PARTS = {seed: sample(seed) for seed in SEEDS}


def test_a_seed_is_a_part() -> None:
    assert [sample(s) for s in SEEDS[:10]] == [PARTS[s] for s in SEEDS[:10]]
    assert len({emit(p) for p in PARTS.values()}) > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_part(seed: int) -> None:
    program = PARTS[seed]
    solid = build(program)
    assert solid.n_bodies == 1
    assert solid.volume > 0
    assert 97 <= np.ptp(solid.bounds, axis=0).max() <= 103
    text = emit(program, "plain", FINE)
    assert len(text) <= MAX_CODE
    assert parse(text) == program
    assert emit(canonical(program), "plain", FINE) == text


def test_every_kind_of_part_occurs() -> None:
    counts = [len(p.extrudes) for p in PARTS.values()]
    assert {1, 2, 3} <= set(counts)
    assert 0.35 < counts.count(1) / len(counts) < 0.8
    operations = {e.operation for p in PARTS.values() for e in p.extrudes}
    assert {Operation.NEW, Operation.JOIN, Operation.CUT} <= operations
    names = " ".join(emit(p) for p in PARTS.values())
    for word in (".rect(", ".circle(", ".hLineTo(", "threePointArc", '"XY"', '"XZ"', '"YZ"'):
        assert word in names
