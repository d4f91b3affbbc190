"""Recipes: typed, overridable, and all faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cadcoder.errors import ConfigError
from train.config import load_recipe
from train.llava.recipe import is_llava
from train.run import main
from train.tree import read_yaml

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "train" / "configs" / "default.yaml"


def test_every_recipe_loads_and_opens_with_its_command():
    for path in (ROOT / "train" / "configs").glob("*.yaml"):
        if is_llava(read_yaml(path)):
            continue  # tests/train/test_llava_recipes.py
        first = path.read_text().splitlines()[0]
        assert first.startswith("# ") and f"train/configs/{path.name}" in first
        assert load_recipe(path).name == path.stem


def test_overrides_reach_their_section_with_their_type():
    recipe = load_recipe(DEFAULT, ["stage2.minutes=60", "stage1.lr=1e-4", "model.layers=2", "data.cache=null", "out=x"])
    assert recipe.stage2.minutes == 60.0 and isinstance(recipe.stage2.minutes, float)
    assert recipe.stage1.lr == 1e-4 and recipe.model.layers == 2 and recipe.data.cache is None and recipe.out == "x"


def test_all_faults_are_reported_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("nme: x\nseed: one\nstage2: {batch: 2.5, pace: 3}\nmodel: 7\n")
    with pytest.raises(ConfigError) as told:
        load_recipe(path, ["stage1.lr=fast", "nonsense", "seed.deep=1"])
    for part in ("nme", "seed", "stage2.batch", "stage2.pace", "model", "stage1.lr", "nonsense", "seed.deep"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)


def test_values_out_of_range_are_reported_at_once():
    with pytest.raises(ConfigError) as told:
        load_recipe(
            DEFAULT, ["stage1.decay=2", "stage2.schedule=steps", "model.heads=3", "data.margin=1", "vision.lr=0"]
        )
    for part in ("stage1.decay", "stage2.schedule", "model.", "data.margin", "vision.lr"):
        assert part in str(told.value)


def test_a_patch_that_the_depth_grid_does_not_fit_is_a_fault():
    with pytest.raises(ConfigError, match=r"model\.patch: must be a multiple of 4"):
        load_recipe(DEFAULT, ["model.image=140", "model.patch=14"])
    assert load_recipe(DEFAULT, ["model.image=140", "model.patch=14", "vision.minutes=0"]).model.patch == 14


def test_the_command_ends_with_one_line(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "none.yaml")]) == 2
    assert main(["--config", str(DEFAULT), f"data.shards={tmp_path}", f"out={tmp_path / 'out'}"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert all(line.startswith("error: ") for line in (lines[0], lines[-1]))
    assert "dataset_build.build" in lines[-1]
