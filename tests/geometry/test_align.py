from __future__ import annotations

import numpy as np
import pytest
from geometry_parts import disc, one, random_program, rect, similarity

from cadcoder.geometry import rotations as rot
from cadcoder.geometry.align import align, mirror_fits_better
from cadcoder.geometry.build import build
from cadcoder.geometry.congruent import congruence
from cadcoder.geometry.metrics import iou_aligned, iou_best
from cadcoder.geometry.posed import Posed, principal_axes
from cadcoder.geometry.read import read_solid
from cadcoder.geometry.solid import Solid
from cadcoder.geometry.voxels import voxelise
from cadcoder.program.types import Profile

NAMES = (
    "cube", "bar", "sheet", "cylinder", "washer", "flange", "marked flange", "prism", "dotted cube", "bracket",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_part_in_any_pose_is_itself(parts: dict[str, Solid], name: str) -> None:
    part = parts[name]
    for seed in range(3):
        assert iou_aligned(part, part.transformed(similarity(seed))) > 0.999


def test_thin_parts_in_any_pose_are_themselves() -> None:
    ring = one(Profile(disc(0, 0, 40), (disc(0, 0, 39.8),)), 5)  # half a facet's turn apart, little would overlap
    tube = one(Profile(rect(0, 0, 40, 40), (rect(0.2, 0.2, 39.8, 39.8),)), 40)  # thinner than any grid
    for part in (build(ring), build(tube)):
        for seed in range(4):
            assert iou_aligned(part, part.transformed(similarity(seed))) > 0.9999


def test_corners_match_for_the_same_part_alone(parts: dict[str, Solid]) -> None:
    a, turned = Posed(parts["bracket"]), Posed(parts["bracket"].transformed(similarity(1)))
    found = congruence(a, turned)
    assert found is not None and np.linalg.det(found) == pytest.approx(1)
    assert congruence(a, Posed(parts["bracket"].transformed(similarity(1, mirror=True)))) is None
    assert congruence(a, Posed(parts["flange"])) is None


def test_random_parts_in_any_pose_are_themselves() -> None:
    for seed in range(8):
        part = build(random_program(seed))
        assert iou_aligned(part.transformed(similarity(seed + 100)), part) > 0.999


def test_real_parts_in_any_pose_are_themselves(data: object) -> None:
    for i, path in enumerate(sorted((data / "gencad_code_dev" / "steps").glob("*.step"))[::6]):  # type: ignore[operator]
        part = read_solid(path)
        assert iou_aligned(part, part.transformed(similarity(i))) > 0.999, path.name


def test_a_chiral_part_is_not_its_mirror_image(parts: dict[str, Solid]) -> None:
    for name, mirrored_is_same in (("bracket", False), ("dotted cube", False), ("flange", True), ("cube", True)):
        value = iou_aligned(parts[name], parts[name].transformed(similarity(5, mirror=True)))
        assert (value > 0.999) == mirrored_is_same, (name, value)
        mirrored = parts[name].transformed(similarity(5, mirror=True))
        assert mirror_fits_better(mirrored, parts[name], value) == (not mirrored_is_same)
        assert not mirror_fits_better(parts[name], parts[name], 1.0)


def test_four_rotations_are_right_where_moments_differ_and_arbitrary_where_they_are_equal(
    parts: dict[str, Solid],
) -> None:
    for seed in range(3):
        moved = parts["bracket"].transformed(similarity(seed))
        assert iou_best(moved, parts["bracket"]) == pytest.approx(1, abs=1e-6)
        assert iou_best(moved, parts["bracket"]) == iou_best(parts["bracket"], moved)
        mirrored = parts["bracket"].transformed(similarity(seed, mirror=True))
        assert iou_best(mirrored, parts["bracket"]) < 0.9  # four signs of an improper basis would give 1
    turned = parts["cube"].transformed(rot.about(2, np.array([np.pi / 4]))[0])
    assert iou_best(turned, parts["cube"]) == pytest.approx(1 / np.sqrt(2))  # an octagon of two squares
    assert iou_aligned(turned, parts["cube"]) > 0.999


def test_principal_axes_are_proper_and_steady() -> None:
    rng = np.random.default_rng(0)
    for values in ((1.0, 2.0, 3.0), (1.0, 1.0, 3.0), (1.0, 3.0, 3.0), (2.0, 2.0, 2.0)):
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        moment = q @ np.diag(values) @ q.T
        moments, axes = principal_axes((moment + moment.T) / 2)
        np.testing.assert_allclose(moments, values)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)
        np.testing.assert_allclose(axes @ moment @ axes.T, np.diag(values), atol=1e-7)
        again = principal_axes((moment + moment.T) / 2 + 1e-14 * np.diag(rng.normal(size=3)))
        np.testing.assert_allclose(again[1], axes, atol=1e-6)


def test_it_is_symmetric_to_the_last_bit(parts: dict[str, Solid]) -> None:
    for a, b in (("bar", "bracket"), ("flange", "marked flange"), ("prism", "dotted cube")):
        value = iou_aligned(parts[a], parts[b])
        assert 0 < value < 1
        assert value == iou_aligned(parts[b], parts[a])


def test_the_matrix_lays_one_over_the_other(parts: dict[str, Solid]) -> None:
    for name in ("bracket", "marked flange"):
        a, b = parts[name], parts[name].transformed(similarity(9))
        found = align(a, b)
        assert a.transformed(found.matrix).iou(b) == pytest.approx(found.iou, abs=1e-6)
        back = align(b, a)
        assert b.transformed(back.matrix).iou(a) == pytest.approx(back.iou, abs=1e-6)
        assert np.linalg.det(found.matrix[:3, :3]) > 0


def test_scale_and_place_do_not_count_but_proportions_do(parts: dict[str, Solid]) -> None:
    stretched = parts["bar"].transformed(np.diag([1.0, 1.0, 1.2, 1.0]))
    assert iou_aligned(parts["bar"], parts["bar"].scaled(7)) > 0.9999
    assert 0.6 < iou_aligned(parts["bar"], stretched) < 0.95


def test_it_is_no_worse_than_any_pose_with_axes_parallel(parts: dict[str, Solid]) -> None:
    for a, b in (("prism", "flange"), ("bracket", "dotted cube")):
        first, second = (s.translated(-s.centroid).scaled(1 / s.gyration) for s in (parts[a], parts[b]))
        best = max(first.transformed(r).iou(second) for r in rot.cube_rotations())
        assert iou_aligned(parts[a], parts[b]) > best - 0.015


def test_sets_of_rotations_are_proper_and_distinct() -> None:
    for found, count in ((rot.cube_rotations(), 24), (rot.half_turns(), 4), (rot.spread(100), 100)):
        assert len(found) == count == len(rot.distinct(found))
        np.testing.assert_allclose(np.linalg.det(found), 1.0)
        np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(3), found.shape), atol=1e-9)


def test_posed_parts_are_normal(parts: dict[str, Solid]) -> None:
    for name, free in (("cube", (0, 1, 2)), ("cylinder", (0,)), ("flange", (2,)), ("bracket", ())):
        p = Posed(parts[name].transformed(similarity(2)))
        assert p.solid.gyration == pytest.approx(1)
        np.testing.assert_allclose(p.solid.centroid, 0, atol=1e-9)
        assert np.linalg.det(p.axes) == pytest.approx(1)
        assert len(p.free_axes) == len(free)


def test_voxels_hold_the_volume_and_know_inside_from_outside(parts: dict[str, Solid]) -> None:
    for name in ("bracket", "washer", "sheet"):
        s = parts[name].transformed(similarity(4))
        grid = voxelise(s.vertices, s.faces, 40)
        assert grid.cells.sum() * np.prod(grid.step) == pytest.approx(s.volume, rel=0.06 if name == "sheet" else 0.03)
    s = parts["washer"]
    grid = voxelise(s.vertices, s.faces, 40)
    points = np.array([[30.0, 0, 2.5], [0, 0, 2.5], [-30, 3, 1], [100, 0, 0], [30, 0, 6]])
    assert grid.contains(points).tolist() == [True, False, True, False, False]
    inside = grid.samples(500, np.random.default_rng(0))
    assert grid.contains(inside).all()
