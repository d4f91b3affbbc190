"""Pictures from elsewhere, several of one part, and efforts, with a scripted drafter in place of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import cadcoder
from cadcoder.errors import ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.metrics import iou_best
from cadcoder.pipeline import Options, Pipeline
from cadcoder.program import parse
from cadcoder.refine.poses import Pose, pose_of
from cadcoder.render.gencad import render_view

BRACKET = """import cadquery as cq

result = cq.Workplane("XY").rect(100, 60).extrude(12)
result = result.union(cq.Workplane("XY").center(-40, 0).rect(20, 60).extrude(55))
"""
SOLID = build(parse(BRACKET))
#: The right features, other numbers.
ROUGH = BRACKET.replace("55", "40").replace("12", "20")
POSES = (Pose(70, 35), Pose(20, 20))
PICTURES = [render_view(SOLID, pose.camera(), size=320) for pose in POSES]


class Rough:
    name = "rough"

    def candidates(self, image: object, n: int = 1, seed: int = 0, max_new_tokens: int = 512) -> Sequence[str]:
        return [ROUGH]


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(Rough(), workers=2) as opened:
        yield opened


def test_the_camera_of_a_picture_comes_with_the_part(pipeline: Pipeline) -> None:
    part = pipeline.generate(PICTURES[0], Options(style="plain"))
    (camera,) = part.cameras
    a, b = (np.asarray(p.camera().axes()[2]) for p in (pose_of(camera), POSES[0]))
    assert np.degrees(np.arccos(a @ b)) < 8
    assert iou_best(part.solid, SOLID) > 0.8 > iou_best(build(parse(ROUGH)), SOLID)
    row = part.to_json()
    assert set(row["cameras"][0]) == {"azimuth", "elevation", "roll", "view"}
    assert row["first_likeness"] <= row["likeness"]
    assert part.first is not None
    assert part.first.code == ROUGH


def test_several_pictures_are_one_part(pipeline: Pipeline) -> None:
    part = pipeline.generate(PICTURES, Options(style="plain"))
    assert len(part.cameras) == 2
    assert iou_best(part.solid, SOLID) > 0.85
    sheet = np.asarray(part.explain(*PICTURES))
    assert sheet.shape[0] > 2 * 300
    with pytest.raises(InputError, match="made from 2 pictures, not 1"):
        part.explain(PICTURES[0])


def test_a_part_and_its_pictures_keep_their_order(pipeline: Pipeline, tmp_path: Path) -> None:
    items = [PICTURES[0], tmp_path / "none.png", PICTURES, []]
    found = [part for _, part in pipeline.generate_many(items, Options(effort=0, style="plain"))]
    assert [len(getattr(part, "cameras", ())) for part in found] == [1, 0, 2, 0]
    assert isinstance(found[1], InputError)
    assert "at least one picture" in str(found[3])


def test_effort_is_how_much_is_tried(pipeline: Pipeline) -> None:
    as_written = pipeline.generate(PICTURES[0], Options(effort=0, style="plain"))
    unrefined = pipeline.generate(PICTURES[0], Options(refine=False, style="plain"))
    quick = pipeline.generate(PICTURES[0], Options(effort=1, style="plain"))
    assert as_written.code == unrefined.code
    assert as_written.likeness is not None
    assert quick.likeness is not None
    assert quick.likeness > as_written.likeness
    for effort in (-1, 4):
        with pytest.raises(ConfigError, match="effort must be from 0 to 3"):
            cadcoder.generate(PICTURES[0], effort=effort)
