import numpy as np
import pytest

from cadcoder.render.camera import CAMERAS, random_camera
from cadcoder.render.gencad import render_view
from cadcoder.render.look import CAD_LOOK
from cadcoder.render.mesh import drawable
from cadcoder.render.outline import visible_lines
from cadcoder.render.photo import photo
from cadcoder.render.sketch import sketch


@pytest.mark.parametrize("style", [photo, sketch])
def test_a_seed_gives_the_same_bytes_and_another_seed_others(style, bracket):
    first = [style(bracket, np.random.default_rng(i)).tobytes() for i in range(4)]
    again = [style(bracket, np.random.default_rng(i)).tobytes() for i in (3, 1, 0, 2)]
    assert first == [again[i] for i in (2, 1, 3, 0)]
    assert len(set(first)) == 4


@pytest.mark.parametrize("style", [photo, sketch])
@pytest.mark.parametrize("size", [128, 448])
def test_the_part_is_in_the_picture(style, size, plate):
    for seed in range(3):
        image = style(plate, np.random.default_rng(seed), size=size)
        assert image.shape == (size, size, 3) and image.dtype == np.uint8
        assert image.std() > 2


def test_sketches_are_dark_lines_on_light_paper(ring):
    for seed in range(4):
        image = sketch(ring, np.random.default_rng(seed)).astype(float).mean(axis=2)
        paper = np.median(image)
        dark = image < paper - 50
        assert paper > 160 and 0.002 < dark.mean() < 0.2


def test_outlines_of_curved_faces_are_drawn_and_hidden_lines_are_not(ring):
    camera = CAMERAS["front"]
    part = drawable(ring, seams=False)
    lines = visible_lines(part, camera.view(part.low, part.points, (448, 448)))
    upright = lines[np.abs(lines[:, 0, 1] - lines[:, 1, 1]) > 1]
    # The two outer outlines are seen, the bore is not: nothing upright but at the left and right border.
    border = (448 - 2 * 448 * camera.margin) / 2
    away = np.abs(upright[:, :, 0] - 224)
    assert len(upright) and np.abs(away - border).max() < 3


def test_the_same_random_state_gives_the_same_camera():
    cameras = [random_camera(np.random.default_rng(5)) for _ in range(2)]
    assert cameras[0] == cameras[1] != random_camera(np.random.default_rng(6))


def test_antialiased_edges_and_a_gradient_behind(bracket):
    image = render_view(bracket, look=CAD_LOOK, size=200)
    assert image[0, 0].sum() > image[-1, 0].sum()  # white on top, darker below
    assert len(np.unique(image[..., 0])) > 20
