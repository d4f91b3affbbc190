from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geometry_parts import bracket, disc, one, random_program, rect

from cadcoder.geometry.commands import CIRCLE, EOS, EXT, LINE, SOL, accuracy, sequence
from cadcoder.program.canonical import scaled
from cadcoder.program.types import Extrude, Loop, Plane, Profile, Program, Sketch


def test_a_plate_with_a_hole_is_the_sequence_of_the_paper() -> None:
    found = sequence(one(Profile(rect(0, 0, 0.75, 0.375), (disc(0.5, 0.2, 0.1),)), 0.25))
    assert found[:, 0].tolist() == [SOL, LINE, LINE, LINE, LINE, SOL, CIRCLE, EXT, EOS]
    assert found[1, 1:3].tolist() == [128 + 95, 128] and found[4, 1:3].tolist() == [128, 128]
    assert found[6, [1, 2, 5]].tolist() == [128 + round(0.5 / 0.75 * 95), 128 + round(0.2 / 0.75 * 95), 13]
    #   theta phi gamma | px py pz | s = 0.75 | e1 = 0.25, e2 = 0 | new, one-sided
    assert found[7, 6:].tolist() == [128, 128, 128, 128, 128, 128, 96, 160, 128, 0, 0]


def test_a_program_is_itself_in_any_unit_and_from_any_start() -> None:
    for program in (bracket(), random_program(1)):
        truth = sequence(program)
        assert accuracy(truth, truth) == (1.0, 1.0)
        assert accuracy(sequence(scaled(program, 37.0)), truth) == (1.0, 1.0)
    square = rect(0, 0, 1, 2)
    turned = Loop(square.curves[2:] + square.curves[:2])
    assert accuracy(sequence(one(Profile(turned), 1)), sequence(one(Profile(square), 1))) == (1.0, 1.0)


def test_each_fault_counts_where_it_is() -> None:
    truth = sequence(one(Profile(rect(0, 0, 0.75, 0.375)), 0.25))  # SOL, 4 lines, EXT, EOS: 8 + 11 parameters
    near, far = truth.copy(), truth.copy()
    near[1, 1] += 2
    far[1, 1] += 3
    assert accuracy(near, truth) == (1.0, 1.0)
    assert accuracy(far, truth) == (1.0, pytest.approx(18 / 19))
    joined = truth.copy()
    joined[5, 15] = 1  # another operation, though its number is near
    assert accuracy(joined, truth) == (1.0, pytest.approx(18 / 19))
    assert accuracy(truth[:1], truth) == (pytest.approx(1 / 7), None)
    longer = np.concatenate([truth[:-1], truth])
    assert accuracy(longer, truth) == (pytest.approx(6 / 7), 1.0)


def test_planes_and_extents_are_told_apart() -> None:
    def ext(plane: Plane, forward: float, backward: float) -> list[int]:
        program = Program((Extrude(Sketch((Profile(rect(0, 0, 0.75, 0.5)),), plane), forward, backward),))
        return sequence(program)[-2, 6:].tolist()

    assert ext(Plane(), 0.2, 0.2)[-1] == 1 and ext(Plane(), 0.2, 0.1)[-1] == 2
    assert ext(Plane(x_dir=(1, 0, 0), normal=(0, -1, 0)), 0.2, 0)[:3] == [192, 64, 192]


def test_real_sequences_come_back_as_they_are(data: Path) -> None:
    readers = pytest.importorskip("dataset_build.readers.deepcad_vec")
    h5py = pytest.importorskip("h5py")
    same, tried = 0, 0
    for path in sorted((data / "deepcad_samples" / "cad_vec").rglob("*.h5"))[:40]:
        program = readers.read(path)
        if not isinstance(program, Program):
            continue
        with h5py.File(path) as file:
            vec = np.asarray(file["vec"][()], dtype=np.int64)
        tried += 1
        same += accuracy(sequence(program), vec) == (1.0, 1.0)
    assert tried > 30 and same / tried > 0.75  # the rest hold what the canonical form writes shorter
