"""Preference and reward: pairs by what scripts make, and two steps of DPO and of GRPO on the default model."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from cadcoder.errors import ConfigError

needs_trl = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")
BOX = 'import cadquery as cq\n\nresult = cq.Workplane("XZ").rect({}, {}).extrude(10)\n'


@pytest.fixture(scope="module")
def pairs(tiny, tmp_path_factory):
    """Pairs of the default model on three boxes."""
    from train.pairs import write_pairs

    out = tmp_path_factory.mktemp("pairs")
    count = write_pairs(
        "default", str(tiny / "data"), out, 3, candidates=4, margin=0.01, max_tokens=60, workers=1, seed=1
    )
    assert count >= 1
    return out


def test_a_pair_is_the_best_and_the_worst():
    from cadcoder.scoring.reward import Reward
    from train.pairs import judged

    scripts = [BOX.format(40, 20), "result = 1/0\n", BOX.format(40, 30), BOX.format(40, 20), ""]
    with Reward(valid=0.1, workers=1) as reward:
        pair = judged(scripts, BOX.format(40, 20), reward, 0.1)
        assert pair is not None
        assert pair["chosen"] == scripts[0] and pair["rejected"] == scripts[1]
        assert pair["chosen_reward"] == pytest.approx(1, abs=1e-6) and pair["rejected_reward"] == 0
        assert judged([scripts[0], scripts[0]], scripts[0], reward, 0.1) is None


def test_pairs_are_files_that_datasets_open_and_are_not_made_twice(pairs, tiny):
    import pyarrow.parquet as pq

    from train.pairs import write_pairs

    (file,) = pairs.glob("*.parquet")
    row = pq.read_table(file).to_pylist()[0]
    assert row["chosen_reward"] > row["rejected_reward"] and row["chosen"] != row["rejected"]
    assert row["images"][0]["bytes"].startswith(b"\x89PNG") and row["truth_code"].startswith("import cadquery")
    stamp = file.stat().st_mtime_ns
    write_pairs("default", str(tiny / "data"), pairs, 3, candidates=4, margin=0.01, max_tokens=60, workers=1)
    assert file.stat().st_mtime_ns == stamp
    with pytest.raises(ConfigError, match="at least 2 candidates"):
        write_pairs("default", str(tiny / "data"), pairs, 3, candidates=1)


def _history(out: Path, what: str) -> list[dict]:
    from cadcoder.model import Model

    folder = out / "model"
    assert Model.load(folder, device="cpu").card.prompt
    return json.loads((folder / "cadcoder.json").read_text())["training"][what]


@needs_trl
def test_two_steps_of_dpo(pairs, tmp_path):
    from train.dpo import main

    assert main(["--data", str(pairs), "--out", str(tmp_path), "--steps", "2", "--batch", "1", "--lr", "1e-4"]) == 0
    losses = [r["loss"] for r in _history(tmp_path, "dpo") if "loss" in r]
    # Before the first step the model is its own reference: the loss is ln 2 (arXiv 2305.18290, equation 7).
    assert len(losses) == 2 and losses[0] == pytest.approx(0.6931, abs=1e-3)


@needs_trl
def test_two_steps_of_grpo(tiny, tmp_path, capsys):
    from train.grpo import main

    argv = ["--data", str(tiny / "data"), "--out", str(tmp_path), "--steps", "2", "--lr", "1e-5", "--workers", "1"]
    assert (
        main([*argv, "--batch", "3", "--group", "2"]) == 2
        and "--batch: 3 must be a multiple" in capsys.readouterr().err
    )
    assert main([*argv, "--batch", "2", "--group", "2", "--max-tokens", "60"]) == 0
    steps = [r for r in _history(tmp_path, "grpo") if "reward" in r]
    assert len(steps) == 2 and all(0 <= r["reward"] <= 1 for r in steps)
    assert any(key.endswith("valid_ratio") for key in steps[0]), sys.stderr
