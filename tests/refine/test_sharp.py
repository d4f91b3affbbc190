"""Pictures as the GenCAD renders are published are compared pixel by pixel: thin things can then be told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cadcoder.geometry.build import build
from cadcoder.geometry.metrics import iou_best
from cadcoder.program import parse
from cadcoder.refine.fit import refine
from cadcoder.refine.poses import sharpened, small
from cadcoder.refine.search import COARSE, SHARP, steps_for
from cadcoder.render.compare import likeness, observe
from cadcoder.render.gencad import render_gencad

PLATE = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).circle(8).extrude({})\n'


def plate(thickness: float):
    return build(parse(PLATE.format(thickness)))


def test_the_true_part_is_seen_as_it_is_and_a_thinner_one_is_not() -> None:
    views = (observe(render_gencad(plate(1.6))),)
    exact = sharpened(views)
    assert exact is not None
    assert exact[0].exact and exact[0].mask.shape == (336, 448)
    assert small(views)[0].sharp is None
    assert steps_for(exact) is SHARP and steps_for(views) is COARSE
    true, thin = (likeness(exact[0], plate(t)) for t in (1.6, 0.8))
    rough_true, rough_thin = (likeness(views[0], plate(t)) for t in (1.6, 0.8))
    assert true > 0.99
    assert true - thin > 2 * (rough_true - rough_thin)


def test_only_pictures_of_that_size_with_black_lines_are() -> None:
    picture = Image.fromarray(render_gencad(plate(5)))
    assert observe(picture).sharp is not None
    assert observe(picture.resize((400, 400), Image.Resampling.LANCZOS)).sharp is None
    blurred = picture.resize((224, 224), Image.Resampling.BOX).resize((448, 448), Image.Resampling.BICUBIC)
    assert observe(blurred).sharp is None
    free = observe(np.asarray(picture)[30:420, 10:440])
    assert free.sharp is None
    assert sharpened((observe(picture), free)) is None


def test_a_fit_ends_on_it() -> None:
    view = observe(render_gencad(plate(1.6)))
    start = PLATE.format(3).replace("circle(8)", "circle(11)")
    fine, rough = (refine([start], v, tries=120, seed=0) for v in (view, replace(view, sharp=None)))
    assert fine is not None and rough is not None
    assert fine.start == rough.start == start
    truth = plate(1.6)
    good, fair = (iou_best(build(parse(found.code)), truth) for found in (fine, rough))
    assert good > 0.95
    assert good >= fair
    assert fine.likeness == pytest.approx(likeness(view.sharp, build(parse(fine.code), SHARP.arc)), abs=2e-3)
