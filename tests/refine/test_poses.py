"""Cameras: four numbers and back, the search for the one that a picture was taken with, and fits that move it."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from cadcoder.geometry.build import build
from cadcoder.geometry.metrics import iou_best
from cadcoder.program import parse
from cadcoder.refine import refine
from cadcoder.refine.fit import fit
from cadcoder.refine.poses import (
    GRID,
    WIDEST_VIEW,
    Pose,
    find_camera,
    is_free,
    moved,
    other_cameras,
    pose_of,
    seen_by,
)
from cadcoder.render.camera import GENCAD
from cadcoder.render.gencad import render_gencad, render_view
from cadcoder.render.mesh import drawable
from cadcoder.render.observe import observe

#: A bracket that looks like itself from one side only.
BRACKET = """import cadquery as cq

result = cq.Workplane("XY").rect(100, 60).extrude(12)
result = result.union(cq.Workplane("XY").center(-40, 0).rect(20, 60).extrude(55))
result = result.cut(cq.Workplane("XY").center(25, 12).circle(10).extrude(12))
"""
SOLID = build(parse(BRACKET))


def away(one: Pose, two: Pose) -> float:
    """Return the angle between two directions in degrees."""
    a, b = (np.asarray(p.camera().axes()[2]) for p in (one, two))
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


@pytest.mark.parametrize("pose", [Pose(30, 40, 5, 30), Pose(-100, -20), Pose(0, 0), *GRID[::7]])
def test_a_pose_is_its_camera(pose: Pose) -> None:
    again = pose_of(pose.camera())
    assert away(pose, again) < 1e-6
    assert (again.roll, again.view) == (pose.roll, pose.view)


def test_a_camera_moves_within_bounds() -> None:
    far = pose_of(moved(Pose(0, 80, 0, 60).camera(), (10, 50, -3, 400)))
    assert far.azimuth == pytest.approx(10)
    assert far.elevation == pytest.approx(89)
    assert (far.roll, far.view) == (-3, WIDEST_VIEW)
    assert moved(Pose(0, 0, 0, 20).camera(), (0, 0, 0, -50)).field_of_view is None


def test_the_frame_of_a_render_tells_its_camera() -> None:
    framed = observe(render_gencad(SOLID))
    assert not is_free(framed)
    upright, below = other_cameras(framed)
    assert upright == framed.camera
    assert below.roll == 180
    assert pose_of(GENCAD).to_json() == {"azimuth": 315.0, "elevation": 35.3, "roll": 0.0, "view": 0.0}
    free = observe(render_view(SOLID, Pose(20, 30).camera(), size=300))
    assert is_free(free)
    assert len(other_cameras(free)) == len(GRID) + 2


@pytest.mark.parametrize("pose", [Pose(70, 35), Pose(20, 30, 3, 45), Pose(200, -10)])
def test_the_camera_of_a_picture_is_found(pose: Pose) -> None:
    seen = observe(render_view(SOLID, pose.camera()), framed=False)
    score = functools.partial(seen_by, drawable(SOLID, seams=seen.seams), seen)
    likeness, camera = find_camera(score, other_cameras(seen), tries=60)
    assert away(pose_of(camera), pose) < 4
    assert likeness > 0.87
    assert likeness > score(GENCAD) + 0.1


def test_a_fit_moves_the_camera_with_the_numbers() -> None:
    seen = observe(render_view(SOLID, Pose(70, 35).camera()), framed=False)
    wrong = BRACKET.replace("55", "40").replace("12", "18")
    near = (replace(seen, camera=Pose(78, 29).camera()),)
    found = fit(wrong, near, tries=400)
    assert found is not None
    assert found.likeness > found.first + 0.05
    assert away(pose_of(found.cameras[0]), Pose(70, 35)) < 8
    assert iou_best(build(parse(found.code)), SOLID) > iou_best(build(parse(wrong)), SOLID) + 0.1


def test_two_pictures_say_more_than_one() -> None:
    # From straight in front the depth does not show.
    front = observe(render_view(SOLID, Pose(-90, 0).camera()), framed=False)
    side = observe(render_view(SOLID, Pose(0, 0).camera()), framed=False)
    views = tuple(replace(view, camera=Pose(azimuth, 0).camera()) for view, azimuth in ((front, -90), (side, 0)))
    wrong = BRACKET.replace("60", "30")
    alone, both = refine([wrong], views[:1], tries=200), refine([wrong], views, tries=200)
    assert both is not None
    assert len(both.cameras) == 2
    better = iou_best(build(parse(both.code)), SOLID)
    assert better > 0.9
    assert better > iou_best(build(parse(alone.code if alone else wrong)), SOLID) + 0.1
