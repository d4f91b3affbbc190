"""The bank: what it is made of comes back, and a picture finds its own program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.refine.bank import CELLS, describe, describe_gencad, describe_observation, load_bank
from cadcoder.refine.retrieve import retrieve
from cadcoder.render.compare import observe
from cadcoder.render.gencad import render_gencad, render_view
from dataset_build.bank import _novel, build_bank, main
from dataset_build.build import main as build_main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    assert build_main(["--source", "synthetic", "--count", "60", "--out", str(folder / "set"), "--workers", "1"]) == 0
    assert main(["--shards", str(folder / "set"), "--out", str(folder / "bank.npz"), "--components", "16"]) == 0
    return folder


def test_a_picture_finds_its_own_program(made: Path) -> None:
    bank = load_bank(made / "bank.npz")
    assert 55 <= len(bank) <= 60
    assert len(set(bank.texts)) == len(bank)
    for text in bank.texts[::12]:
        seen = observe(render_gencad(build(parse(text))))
        first, second, *_ = retrieve(str(made / "bank.npz"), (seen,), 3)
        assert first.likeness > 0.97
        assert first.code == text or first.likeness == second.likeness


def test_a_drawing_is_described_as_its_observation(made: Path) -> None:
    texts = load_bank(made / "bank.npz").texts[:8]
    drawings = [render_gencad(build(parse(text))) for text in texts]
    fast = np.stack([describe_gencad(np.asarray(Image.fromarray(d).convert("L"))) for d in drawings])
    slow = np.stack([describe_observation(observe(d)) for d in drawings])
    assert ((fast @ slow.T).argmax(0) == np.arange(8)).all()


def test_size_and_place_in_the_picture_do_not_matter() -> None:
    solid = build(parse('import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).circle(10).extrude(30)\n'))
    large = np.asarray(Image.fromarray(render_view(solid, size=448)).convert("L"))
    small = np.full((500, 700), 255, np.uint8)
    small[20:320, 350:650] = np.asarray(Image.fromarray(render_view(solid, size=300)).convert("L"))
    assert describe_gencad(large) @ describe_gencad(small) > 1.9


def test_the_description_is_of_what_is_where() -> None:
    mask = np.zeros((40, 90), bool)
    mask[10:26, 20:84] = True  # 64 wide, 16 high: two pixels a cell, in the middle of the square
    edges = np.zeros((40, 90), np.float32)
    edges[17, 51] = 1.0
    cover, lines = describe(mask, edges).reshape(2, CELLS, CELLS)
    assert (cover[12:20] > 0).all()
    assert cover[:12].sum() == cover[20:].sum() == 0
    assert np.unravel_index(lines.argmax(), lines.shape) == (15, 15)
    assert not describe(np.zeros((9, 9), bool), np.zeros((9, 9))).any()


def test_the_least_like_are_kept() -> None:
    at = np.array([[0, 0], [9, 0], [0.1, 0], [9, 0.2], [0, 5]], np.float32)
    assert _novel(at, 3, block=2).tolist() == [0, 1, 4]
    assert _novel(at, 9).tolist() == [0, 1, 2, 3, 4]


def test_the_same_set_gives_the_same_bank(made: Path) -> None:
    build_bank(made / "set", components=16).save(made / "again.npz")
    one, two = load_bank(made / "bank.npz"), load_bank(made / "again.npz")
    assert one.texts == two.texts
    assert (one.codes == two.codes).all()


def test_faulty_banks_are_named(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "bank.npz"
    for content in (b"", b"no zip", (made / "bank.npz").read_bytes()[:-200]):
        broken.write_bytes(content)
        with pytest.raises(InputError, match=r"is no bank of programs"):
            load_bank(broken)
    held = dict(np.load(made / "bank.npz"))
    np.savez(broken, **{**held, "codes": held["codes"][:-1]})
    with pytest.raises(InputError, match="do not fit"):
        load_bank(broken)
    np.savez(broken, **{**held, "version": 99})
    with pytest.raises(InputError, match="version 99"):
        load_bank(broken)
    assert main(["--shards", str(tmp_path), "--out", str(broken)]) == 2
    assert "no shards" in capsys.readouterr().err
