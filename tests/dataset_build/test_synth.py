"""Synthetic parts: seeded, on the grid, one closed body of the right size, each feature worth its line."""

import numpy as np
import pytest

from cadcoder.geometry.build import build
from cadcoder.program import Operation, canonical, emit, parse
from cadcoder.program.snap import FINE
from dataset_build.synth import MAX_CODE, sample, touches_itself

SEEDS = list(range(60))
PARTS = {seed: sample(seed) for seed in SEEDS}
#: Parts that are meant to be several bodies: at most one in ten.
APART = [seed for seed, part in PARTS.items() if build(part).n_bodies > 1]


def test_a_seed_is_a_part() -> None:
    assert [sample(s) for s in SEEDS[:10]] == [PARTS[s] for s in SEEDS[:10]]
    assert len({emit(p) for p in PARTS.values()}) > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_part(seed: int) -> None:
    program = PARTS[seed]
    solid = build(program)
    assert solid.n_bodies == 1 or seed in APART
    assert solid.volume > 0
    assert 97 <= np.ptp(solid.bounds, axis=0).max() <= 103
    text = emit(program, "plain", FINE)
    assert len(text) <= MAX_CODE
    assert parse(text) == program
    assert emit(canonical(program), "plain", FINE) == text


def test_few_parts_are_several_bodies() -> None:
    assert len(APART) < len(PARTS) / 10
    assert sum(build(sample(seed)).n_bodies > 1 for seed in range(60, 160)) > 0


def test_what_lies_at_one_height_is_written_so() -> None:
    """A pocket is cut from the face it is drawn on: no end lies half a unit off a face of the part."""
    for part in PARTS.values():
        heights: dict[str, set[float]] = {}
        for e in part.extrudes:
            n = e.sketch.plane.normal
            at = sum(a * b for a, b in zip(e.sketch.plane.origin, n, strict=True))
            sign = -1.0 if min(n) < 0 else 1.0
            heights.setdefault(str([abs(v) for v in n]), set()).update(
                {sign * (at - e.backward), sign * (at + e.forward)}
            )
        near = [b - a for h in heights.values() for a, b in zip(sorted(h), sorted(h)[1:], strict=False)]
        assert sum(0 < gap < 0.75 for gap in near) <= 1


@pytest.mark.parametrize("seed", [1186, 1194, 1810])
def test_no_outline_touches_itself(seed: int) -> None:
    """What rounding has closed is drawn again: these once had a slit, a wall and a spike of no width."""
    part = sample(seed)
    assert not any(touches_itself(loop) for e in part.extrudes for loop in e.sketch.loops())
    solid = build(part)
    assert solid.iou(solid) > 0.999999


def test_an_outline_that_touches_itself_is_seen() -> None:
    code = 'result = cq.Workplane("XZ").moveTo(-50, 10).hLineTo({}).vLineTo(-11).hLineTo(50).vLineTo(-10).hLineTo(0)'
    code += ".vLineTo(11).hLineTo(-50).close().extrude(3.5)"
    closed, clear = (parse(code.format(x)).extrudes[0].sketch.profiles[0].outer for x in (0, -1))
    assert touches_itself(closed)
    assert not touches_itself(clear)


def test_every_kind_of_part_occurs() -> None:
    counts = [len(p.extrudes) for p in PARTS.values()]
    assert {1, 2, 3} <= set(counts)
    assert 0.35 < counts.count(1) / len(counts) < 0.8
    operations = {e.operation for p in PARTS.values() for e in p.extrudes}
    assert {Operation.NEW, Operation.JOIN, Operation.CUT} <= operations
    names = " ".join(emit(p) for p in PARTS.values())
    for word in (".rect(", ".circle(", ".hLineTo(", "threePointArc", '"XY"', '"XZ"', '"YZ"'):
        assert word in names
