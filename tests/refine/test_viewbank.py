"""The bank seen from everywhere: a picture from any side finds its own program, and where it was taken from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import emit, parse
from cadcoder.refine.bank import Bank, describe_gencad, load_bank, make_bank, principal
from cadcoder.refine.poses import GRID, Pose
from cadcoder.refine.retrieve import retrieve
from cadcoder.render.camera import CAMERAS
from cadcoder.render.gencad import render_gencad, render_view
from cadcoder.render.observe import observe
from dataset_build.bank import build_views
from dataset_build.synth import sample


@pytest.fixture(scope="module")
def bank() -> Bank:
    texts = [emit(sample(seed), "plain", 0.01) for seed in range(24)]
    drawings = [render_gencad(build(parse(text)))[..., 0] for text in texts]
    described = np.stack([describe_gencad(drawing) for drawing in drawings])
    mean, basis = principal(described, 16)
    made = make_bank(texts, (described - mean) @ basis, mean, basis)
    return replace(made, views=build_views(made, 16, 16))


@pytest.fixture(scope="module")
def path(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("views") / "bank.npz"
    bank.save(file)
    return file


def test_it_comes_back_as_it_was(bank: Bank, path: Path) -> None:
    again = load_bank(path)
    assert again.texts == bank.texts
    assert again.views is not None
    assert bank.views is not None
    np.testing.assert_array_equal(again.views.codes, bank.views.codes)
    np.testing.assert_array_equal(again.views.rows, bank.views.rows)
    assert again.views.codes.shape == (16, len(GRID), 16)


def test_a_picture_from_anywhere_finds_its_program_and_camera(bank: Bank, path: Path) -> None:
    assert bank.views is not None
    found, near = 0, 0
    for i, row in enumerate(bank.views.rows[:8]):
        pose = Pose(GRID[(7 * i) % 40].azimuth + 5, GRID[(7 * i) % 40].elevation + 4, 0, 30)
        picture = render_view(build(parse(bank.texts[row])), pose.camera())
        guesses = retrieve(str(path), (observe(picture, framed=False),), 5)
        assert guesses == sorted(guesses, key=lambda guess: -guess.likeness)
        found += guesses[0].likeness > 0.85
        near += bank.texts[row] in [guess.code for guess in guesses]
        assert len(guesses[0].cameras) == 1
    assert found >= 6
    assert near >= 6


def test_two_pictures_are_looked_for_together(bank: Bank, path: Path) -> None:
    assert bank.views is not None
    hits = 0
    for row in bank.views.rows[::4]:
        solid = build(parse(bank.texts[row]))
        views = tuple(observe(render_view(solid, Pose(a, e).camera()), framed=False) for a, e in ((20, 30), (140, 12)))
        guesses = retrieve(str(path), views, 3)
        assert all(len(guess.cameras) == 2 for guess in guesses)
        hits += bank.texts[row] in [guess.code for guess in guesses]
    assert hits >= 3


def test_a_render_from_below_is_seen_as_that(path: Path) -> None:
    turned = 0
    for text in load_bank(path).texts[:10]:
        below = observe(render_view(build(parse(text)), CAMERAS["corner++-"]))
        guess = retrieve(str(path), (below,), 1)[0]
        turned += guess.cameras[0].roll == 180
    assert turned >= 3


def test_views_that_do_not_fit_are_named(path: Path, tmp_path: Path) -> None:
    held = dict(np.load(path))
    broken = tmp_path / "bank.npz"
    for fault in ({"view_codes": held["view_codes"][:-1]}, {"view_rows": held["view_rows"] + 10_000}):
        np.savez(broken, **{**held, **fault})
        with pytest.raises(InputError, match="views do not fit"):
            load_bank(broken)
