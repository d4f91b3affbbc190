"""Families of test pictures, and the figures that a checkpoint reaches on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cadcoder.geometry.metrics import iou_best
from cadcoder.geometry.read import read_solid
from dataset_build.families import FAMILIES, FIRST_SEED, SEVERAL, main
from dataset_build.synth import sample_solid
from eval.pictures import STAGES, measure, table
from eval.pictures import main as measure_main


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("family", [*FAMILIES, *SEVERAL])
def test_a_family_is_the_same_parts_drawn_its_way(family: str, tmp_path: Path) -> None:
    for out in ("one", "two"):
        assert main(["--family", family, "--count", "2", "--out", str(tmp_path / out)]) == 0
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    for i, row in enumerate(rows(tmp_path / "one")):
        assert row["seed"] == FIRST_SEED + i
        assert iou_best(read_solid(tmp_path / "one" / str(row["step"])), sample_solid(FIRST_SEED + i)[1]) > 0.999
        names = row["images"] if family in SEVERAL else [row["image"]]
        assert isinstance(names, list)
        assert len(names) == (SEVERAL[family][1] if family in SEVERAL else 1)
        drawn = [np.asarray(Image.open(tmp_path / "one" / name)) for name in names]
        assert len({picture.tobytes() for picture in drawn}) == len(names)
        assert all(picture.shape == (448, 448, 3) and picture.std() > 2 for picture in drawn)
        for name, picture in zip(names, drawn, strict=True):
            assert (np.asarray(Image.open(tmp_path / "two" / name)) == picture).all()


def test_the_default_model_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--family", "any2", "--count", "2", "--out", str(tmp_path / "set")]) == 0
    found = measure(tmp_path / "set", "default", 2, 0, tmp_path / "rows.jsonl")
    assert [json.loads(line)["id"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == [
        "000000",
        "000001",
    ]
    for row in found:
        assert set(STAGES) <= set(row)
        assert row["best of N fitted"]["outcome"] == "ok"
        assert 0 < row["best of N fitted"]["metrics"]["iou_best"] <= 1
        assert row["best of N"]["likeness"] <= row["best of N fitted"]["likeness"] + 1e-9
    assert table(found, 2).count("\n") == 1 + len(STAGES)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "samples.jsonl").write_text('{"id": "1"}\n')
    assert measure_main(["--data", str(tmp_path / "bad")]) == 2
    assert "samples with id, image and step" in capsys.readouterr().err
    assert main(["--family", "photo", "--count", "0", "--out", str(tmp_path / "none")]) == 2
