"""What is the part in a picture: clean pages to the pixel, photographs without their shadows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.render import photo as photographs
from cadcoder.render.gencad import render_gencad
from cadcoder.render.segment import foreground
from dataset_build.synth import sample_solid

BRACKET = build(
    parse(
        'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).extrude(12)\n'
        'result = result.union(cq.Workplane("XY").center(-40, 0).rect(20, 60).extrude(55))\n'
    )
)


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def test_a_render_is_cut_out_to_the_pixel() -> None:
    picture = render_gencad(BRACKET)
    assert (foreground(picture) == (picture.min(axis=2) < 241)).all()


def test_photographs_are_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    true: list[np.ndarray] = []
    shadow = photographs._shadow

    def remembered(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        true.append(alpha > 0.5)
        return shadow(alpha, rng)

    monkeypatch.setattr(photographs, "_shadow", remembered)
    solids = [sample_solid(920_000_000 + i)[1] for i in range(12)]
    pictures = [photographs.photo(s, np.random.default_rng(i), size=300) for i, s in enumerate(solids)]
    found = [overlap(foreground(picture), mask) for picture, mask in zip(pictures, true, strict=True)]
    assert np.median(found) > 0.93
    assert np.mean(found) > 0.8


def test_a_soft_shadow_is_background() -> None:
    rng = np.random.default_rng(0)
    part = np.zeros((240, 240), dtype=bool)
    part[70:170, 60:180] = True
    shade = ndimage.gaussian_filter(ndimage.shift(part.astype(np.float32), (22, 14), order=1), 7.0)
    scene = np.full((240, 240, 3), 200.0) * (1 - 0.4 * shade)[..., None]
    scene[part] = (70, 90, 150)
    picture = np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
    assert overlap(foreground(picture), part) > 0.95


def test_lines_on_paper_stay_lines() -> None:
    rng = np.random.default_rng(1)
    sheet = np.clip(235 + rng.normal(0, 3, (200, 260, 3)), 0, 255).astype(np.uint8)
    sheet[50:150, 60:63] = sheet[50:150, 197:200] = sheet[50:53, 60:200] = sheet[147:150, 60:200] = 40
    found = foreground(sheet)
    assert found[50:150, 60:63].mean() > 0.9
    assert found[70:130, 90:170].mean() < 0.01
