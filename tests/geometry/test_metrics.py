from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from geometry_parts import one, rect

from cadcoder.geometry import metrics
from cadcoder.geometry.build import build
from cadcoder.geometry.read import read_solid
from cadcoder.geometry.solid import Solid
from cadcoder.program.parse import parse
from cadcoder.program.types import Profile


def box(x: float, y: float, z: float) -> Solid:
    return build(one(Profile(rect(0, 0, x, y)), z))


def test_overlap_in_the_box_forgets_place_and_size_only() -> None:
    a, b = box(1, 2, 4), box(3, 6, 12).translated([9, 9, 9])
    assert metrics.iou_raw(a, b) == 0
    assert metrics.iou_box(a, b) == pytest.approx(1)
    assert metrics.iou_box(box(1, 2, 4), box(4, 2, 1)) == pytest.approx(2 / 14)
    assert metrics.iou_best(box(1, 2, 4), box(4, 2, 1)) == pytest.approx(1)


def test_overlap_of_boxes_is_the_formula() -> None:
    # Radii of gyration equal, then concentric: the shared box is the smaller side along each axis.
    a, b = np.array([1.0, 2, 4]), np.array([1.5, 2, 3])
    p, q = a / np.linalg.norm(a), b / np.linalg.norm(b)
    shared = np.minimum(p, q).prod()
    expected = shared / (p.prod() + q.prod() - shared)
    assert metrics.iou_best(box(*a), box(*b)) == pytest.approx(expected)
    assert metrics.iou_paper(box(*a), box(*b)) == pytest.approx(expected)


def test_chamfer_is_small_for_the_same_and_the_square_of_a_gap() -> None:
    a = box(10, 10, 10)
    same = metrics.chamfer(a, a.scaled(3), points=4000)
    assert 0 < same < 2e-3
    assert metrics.chamfer(a, box(10, 10, 5)) > 10 * same
    assert metrics.chamfer(a, box(10, 10, 5)) == metrics.chamfer(a, box(10, 10, 5))  # seeded
    # Two sheets of one plane's extent but for the thickness: each point is about t / 2 from the other's.
    thin, thick = box(10, 10, 0.2), box(10, 10, 2.2)
    gap = metrics.chamfer(thin, thick, points=20_000)
    assert gap == pytest.approx(2 * 0.1**2, rel=0.25)


def test_samples_lie_on_the_surface_evenly() -> None:
    a = box(1, 2, 3)
    p = metrics.sample_surface(a, 20_000, np.random.default_rng(0))
    on = [np.isclose(p[:, k], v) for k, v in ((0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 3))]
    assert np.any(on, axis=0).all()
    shares = np.array([o.mean() for o in on])
    np.testing.assert_allclose(shares, np.array([6, 6, 3, 3, 2, 2]) / 22, atol=0.02)


def test_size_error_is_the_worst_side() -> None:
    assert metrics.size_error(box(1, 2, 3), box(3, 1, 2)) == 0
    assert metrics.size_error(box(1, 2, 3.3), box(3, 1, 2)) == pytest.approx(0.1)


def test_real_pairs_agree_with_the_reference(data: Path) -> None:
    folder = data / "gencad_code_dev"
    reference = json.loads((folder / "reference_iou.json").read_text())
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    raw, near = [], 0
    for row in rows:
        made, truth = build(parse(row["code"])), read_solid(folder / row["step"])
        raw.append(metrics.iou_raw(made, truth))
        near += abs(metrics.iou_paper(made, truth) - reference[row["id"]]) < 0.01
        assert metrics.iou_best(made, truth) > 0.69
    assert np.mean(raw) == pytest.approx(0.93, abs=0.01)
    assert near >= 20  # the rest have equal moments, where four turns of the principal axes are arbitrary
