from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from geometry_parts import one, rect

from cadcoder.geometry import metrics, overlap
from cadcoder.geometry.build import build
from cadcoder.geometry.chamfer import sample_surface
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
    assert metrics.iou_aligned(box(*a), box(*b)) == pytest.approx(expected)


def test_chamfer_distances_are_small_for_the_same_and_the_square_of_a_gap() -> None:
    a, half = box(10, 10, 10), box(10, 10, 5)
    same = metrics.cd_cadrille(a, a.scaled(3))
    assert 0 < same < 1e-3
    assert metrics.cd_cadrille(a, half) > 10 * same
    assert metrics.cd_cadrille(a, half) == metrics.cd_cadrille(a, half)  # seeded
    # Two sheets that differ in thickness alone: each point is about t / 2 from the other's.
    gap = metrics.cd_cadrille(box(10, 10, 0.2), box(10, 10, 2.2), points=20_000)
    assert gap == pytest.approx(2 * 0.1**2, rel=0.25)


def test_deepcads_chamfer_distance_counts_place_and_size_in_the_frame_of_the_truth() -> None:
    a = box(10, 10, 10)
    assert metrics.cd_deepcad(a, a) < 2e-3
    # One sheet above another: every point is a gap of 3 from the other, in a frame where 10 is 0.75.
    low, high = box(10, 10, 1e-3), box(10, 10, 1e-3).translated([0, 0, 3])
    assert metrics.cd_deepcad(high, low, points=20_000) == pytest.approx(2 * (3 * 0.075) ** 2, rel=0.05)
    # Far away the cloud is brought back to 1, as published: the distance stays of the order of the frame.
    assert metrics.cd_deepcad(a.translated([1e6, 0, 0]), a) < 4


def test_samples_lie_on_the_surface_evenly() -> None:
    a = box(1, 2, 3)
    p = sample_surface(a, 20_000, seed=0)
    on = [np.isclose(p[:, k], v) for k, v in ((0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 3))]
    assert np.any(on, axis=0).all()
    shares = np.array([o.mean() for o in on])
    np.testing.assert_allclose(shares, np.array([6, 6, 3, 3, 2, 2]) / 22, atol=0.02)


def test_size_error_is_the_worst_side() -> None:
    assert metrics.size_error(box(1, 2, 3), box(3, 1, 2)) == 0
    assert metrics.size_error(box(1, 2, 3.3), box(3, 1, 2)) == pytest.approx(0.1)


def test_volumes_that_contradict_each_other_are_refused() -> None:
    a = box(1, 1, 1)
    assert overlap.iou(a.manifold, a.manifold, 1.0, 1.0) == 1.0
    with pytest.raises(overlap.Unsound, match="crosses itself"):
        overlap.shared_volume(a.manifold, a.manifold, 0.5, 1.0)


def test_all_measures_of_a_pair() -> None:
    found = metrics.compare(box(1, 2, 4), box(1, 2, 5))
    assert list(found.as_dict()) == [
        "iou_best", "iou_aligned", "iou_raw", "iou_box", "cd_deepcad", "cd_cadrille", "size_error", "mirrored",
    ]  # fmt: skip
    assert found.iou_raw == pytest.approx(0.8) and found.size_error == pytest.approx(0.2)
    assert found.iou_aligned >= found.iou_best > 0.6 and found.mirrored is False


def test_real_pairs_are_about_as_published(data: Path) -> None:
    folder = data / "gencad_code_dev"
    reference = json.loads((folder / "reference_iou.json").read_text())
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    raw, near = [], 0
    for row in rows:
        made, truth = build(parse(row["code"])), read_solid(folder / row["step"])
        raw.append(metrics.iou_raw(made, truth))
        best = metrics.iou_best(made, truth)
        near += abs(best - reference[row["id"]]) < 0.01
    assert np.mean(raw) == pytest.approx(0.93, abs=0.01)
    assert near >= 20  # the rest are the published evaluator's NURBS, or equal moments
