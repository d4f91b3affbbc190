from __future__ import annotations

import numpy as np
import pytest
from geometry_parts import similarity

from cadcoder.errors import InputError
from cadcoder.geometry import metrics
from cadcoder.geometry.fallback import NOTE, solid_or_voxels, voxel_solid
from cadcoder.geometry.solid import Solid


def test_voxels_are_a_closed_solid_of_about_the_same_volume(parts: dict[str, Solid]) -> None:
    for name in ("bracket", "flange"):
        part = parts[name].transformed(similarity(3))
        found = voxel_solid(part)
        assert found.notes == (NOTE,) and found.is_watertight
        assert found.volume == pytest.approx(part.volume, rel=0.03)
        assert metrics.iou_raw(found, part) > 0.88


def test_a_mesh_with_a_large_hole_and_turned_faces_is_measured_by_its_voxels(parts: dict[str, Solid]) -> None:
    part = parts["bracket"]
    flat = np.abs(part.vertices[part.faces][:, :, 2]).max(axis=1) < 1e-9  # the whole underside
    assert 0.1 < part.face_areas[flat].sum() / part.area
    faces = part.faces[~flat].copy()
    faces[::7] = faces[::7, ::-1]
    found = solid_or_voxels(part.vertices, faces)
    assert found.notes == (NOTE,)
    assert metrics.iou_raw(found, part) > 0.9
    assert solid_or_voxels(part.vertices, part.faces).notes == ()


def test_what_encloses_nothing_is_refused(parts: dict[str, Solid]) -> None:
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.2]])
    for vertices, faces in ((square, [[0, 1, 2], [0, 2, 3]]), (square * [1, 1, 0], [[0, 1, 2], [0, 2, 3]])):
        with pytest.raises(InputError):
            solid_or_voxels(vertices, faces)
