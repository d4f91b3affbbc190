from __future__ import annotations

import pickle

import numpy as np
import pytest
from geometry_parts import disc, one, rect, similarity

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Profile


def box(x: float, y: float, z: float) -> Solid:
    return build(one(Profile(rect(1, 2, 1 + x, 2 + y)), z))


def test_a_box_has_the_mass_properties_of_the_formulas() -> None:
    s = box(2, 3, 5)
    assert s.volume == pytest.approx(30)
    assert s.area == pytest.approx(2 * (6 + 10 + 15))
    np.testing.assert_allclose(s.centroid, [2, 3.5, 2.5])
    np.testing.assert_allclose(s.bounds, [[1, 2, 0], [3, 5, 5]])
    expected = 30 / 12 * np.diag([9 + 25, 4 + 25, 4 + 9])
    np.testing.assert_allclose(s.inertia, expected, atol=1e-9)
    assert s.gyration == pytest.approx(np.sqrt((4 + 9 + 25) / 12))
    assert (s.euler, s.genus, s.n_bodies, s.is_watertight) == (2, 0, 1, True)


def test_inertia_is_that_of_many_points_inside() -> None:
    s = build(one(Profile(rect(0, 0, 6, 4), (disc(4.5, 2.5, 1),)), 3))
    rng = np.random.default_rng(0)
    p = rng.random((400_000, 3)) * [6, 4, 3]
    p = p[np.hypot(p[:, 0] - 4.5, p[:, 1] - 2.5) > 1]
    q = p - p.mean(axis=0)
    np.testing.assert_allclose(s.centroid, p.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(s.second_moment / s.volume, q.T @ q / len(q), atol=0.03)


def test_mass_properties_follow_a_similarity() -> None:
    s = build(one(Profile(rect(0, 0, 6, 4), (disc(4.5, 2.5, 1),)), 3))
    for seed, mirror in ((1, False), (2, True)):
        m = similarity(seed, mirror)
        t = s.transformed(m)
        k = abs(np.linalg.det(m[:3, :3])) ** (1 / 3)
        assert t.volume == pytest.approx(s.volume * k**3)  # positive, mirrored or not: faces stay outward
        assert t.area == pytest.approx(s.area * k**2)
        r = m[:3, :3] / k
        np.testing.assert_allclose(t.centroid, m[:3, :3] @ s.centroid + m[:3, 3], rtol=1e-9, atol=1e-7)
        np.testing.assert_allclose(t.inertia, r @ s.inertia @ r.T * k**5, rtol=1e-6, atol=1e-6 * k**5 * 100)
        assert t.manifold.volume() == pytest.approx(t.volume)


def test_far_from_the_origin_nothing_is_lost() -> None:
    s = box(2, 3, 5).translated([1e6, -1e6, 1e6])
    assert s.volume == pytest.approx(30, rel=1e-6)
    np.testing.assert_allclose(np.diag(s.inertia), [85, 72.5, 32.5], rtol=1e-4)


def test_it_cannot_be_changed() -> None:
    s = box(1, 1, 1)
    with pytest.raises(ValueError):
        s.vertices[0, 0] = 3
    with pytest.raises(ValueError):
        s.faces[0, 0] = 3


def test_booleans_and_overlap_in_place() -> None:
    a, b = box(2, 2, 2), box(2, 2, 2).translated([1, 0, 0])
    assert a.union(b).volume == pytest.approx(12)
    assert a.intersection(b).volume == pytest.approx(4)
    assert a.difference(b).volume == pytest.approx(4)
    assert a.iou(b) == pytest.approx(1 / 3)
    assert a.iou(a) == pytest.approx(1)
    assert a.iou(b.translated([1, 0, 0])) == 0  # touching is not overlapping
    with pytest.raises(InputError, match="empty"):
        a.difference(a)


def test_bodies_cavities_and_handles_are_counted() -> None:
    a = box(2, 2, 2)
    two = a.union(a.translated([5, 0, 0]))
    assert (two.n_bodies, two.genus) == (2, 0)
    inner = a.translated(-a.centroid).scaled(0.5).translated(a.centroid)
    hollow = a.difference(inner)
    assert (hollow.n_bodies, hollow.volume) == (1, pytest.approx(7))
    ring = build(one(Profile(disc(0, 0, 3), (disc(0, 0, 1),)), 1))
    assert (ring.genus, ring.euler) == (1, 0)


def test_it_survives_pickling_for_worker_processes() -> None:
    s = box(1, 2, 3)
    t = pickle.loads(pickle.dumps(s))
    assert t.volume == s.volume and t.iou(s) == pytest.approx(1)
    assert not t.vertices.flags.writeable


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        ([[0, 0, 0]], np.zeros((0, 3)), "no faces"),
        ([[0, 0]], [[0, 0, 0]], "vertices"),
        ([[0, 0, np.nan]], [[0, 0, 0]], "finite"),
        ([[0, 0, 0]], [[0, 1, 2]], "does not exist"),
    ],
)
def test_bad_arrays_are_refused(vertices: object, faces: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Solid(np.array(vertices), np.array(faces))


def test_an_open_mesh_is_told_apart() -> None:
    s = box(1, 1, 1)
    broken = Solid(s.vertices, s.faces[1:])
    assert not broken.is_watertight
    with pytest.raises(InputError, match="closed"):
        _ = broken.manifold
