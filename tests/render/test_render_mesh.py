from types import SimpleNamespace

import numpy as np
import pytest

from cadcoder.render.mesh import drawable


def cube():
    v = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    f = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], dtype=np.int32)
    return SimpleNamespace(vertices=v, faces=f)


def test_a_cube_has_twelve_edges_and_flat_normals():
    part = drawable(cube())
    assert len(part.edges) == 12
    assert np.allclose(np.abs(part.normals).max(axis=1), 1)
    assert np.allclose(part.low, -0.5) and np.allclose(part.centre, 0.5)


def test_normals_of_a_cylinder_point_away_from_its_axis(ring):
    for seams in (True, False):
        part = drawable(ring, seams=seams)
        wall = np.abs(part.normals[:, 2]) < 0.5
        away = part.corners[wall, :2] / np.linalg.norm(part.corners[wall, :2], axis=1, keepdims=True)
        cosine = np.abs(np.sum(away * part.normals[wall, :2], axis=1))
        assert cosine.min() > np.cos(np.radians(1.5))
        assert np.allclose(np.linalg.norm(part.normals, axis=1), 1, atol=1e-5)


def test_edges_are_circles_and_with_surfaces_also_seams(ring):
    def upright(part):
        a, b = part.points[part.edges[:, 0]], part.points[part.edges[:, 1]]
        return (np.abs(a[:, 2] - b[:, 2]) > 1).sum()

    assert upright(drawable(ring)) == 2
    assert upright(drawable(ring, seams=False)) == 0


def test_a_triangle_without_area_makes_no_edge_of_its_own():
    solid = cube()
    # Split the edge 0-4 by a point in the middle and a triangle without area beside it.
    v = np.vstack([solid.vertices, [[0.5, 0.0, 0.0]]])
    faces = [tuple(f) for f in solid.faces.tolist()]
    at = next(i for i, f in enumerate(faces) if (0, 4) in zip(f, f[1:] + f[:1], strict=True))
    third = next(p for p in faces[at] if p not in (0, 4))
    faces[at : at + 1] = [(0, 8, third), (8, 4, third), (0, 4, 8)]
    part = drawable(SimpleNamespace(vertices=v, faces=np.array(faces, dtype=np.int32)))
    assert len(part.edges) in (12, 13)  # 13: the split edge counts as two
    length = np.linalg.norm(np.diff(part.points[part.edges], axis=1)[:, 0], axis=1).sum()
    assert length == pytest.approx(12)
