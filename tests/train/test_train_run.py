"""The whole recipe at a few thousand parameters: it learns, resumes exactly, extends, and leaves a checkpoint."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageDraw

from train.config import load_recipe
from train.run import train

ROOT = Path(__file__).resolve().parents[2]
TINY = """
name: tiny
prompt: prompts/default.txt
device: cpu
threads: 1
compile: false
log_seconds: 0
eval_minutes: 100
checkpoint_minutes: 100
data: {held_out: 32, max_tokens: 60, shift: 1}
tokenizer: {vocab_size: 1100}
model: {image: 32, patch: 8, vision_width: 32, vision_layers: 1, vision_heads: 2, width: 32, layers: 1, heads: 2,
        kv_heads: 2, feed_forward: 64, positions: 128}
vision: {samples: 128, batch: 32, warmup: 32}
language: {samples: 1024, batch: 32, warmup: 64, lr: 5.0e-3}
stage1: {samples: 128, batch: 32, warmup: 32}
stage2: {samples: 1536, batch: 32, warmup: 64, lr: 5.0e-3}
"""


def _shard(path: Path, seed: int, rows: int = 200) -> None:
    """Boxes seen from the front: the width and height in the picture are those in the script."""
    rng = np.random.default_rng(seed)
    images, codes = [], []
    for _ in range(rows):
        w, h = (int(v) for v in rng.integers(1, 9, 2) * 12)
        image = Image.new("L", (112, 112), 255)
        ImageDraw.Draw(image).rectangle((56 - w // 2, 56 - h // 2, 56 + w // 2, 56 + h // 2), fill=141)
        out = io.BytesIO()
        image.save(out, "PNG")
        images.append({"bytes": out.getvalue(), "path": None})
        codes.append(f'import cadquery as cq\n\nresult = cq.Workplane("XZ").rect({w}, {h}).extrude(10)\n')
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": images, "code": codes})
    pq.write_table(table, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def _recipe(folder: Path, *overrides: str):
    (folder / "tiny.yaml").write_text(TINY)
    return load_recipe(folder / "tiny.yaml", [f"out={folder / 'out'}", f"data.shards={folder / 'shards'}", *overrides])


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    _shard(folder / "shards" / "data" / "train-00000.parquet", 0, 400)
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        train(_recipe(folder))
    finally:
        os.chdir(here)
    return folder


def _done(folder: Path, stage: str) -> dict:
    return json.loads((folder / "out" / stage / "done.json").read_text())


def test_the_loss_falls_and_pictures_help(run):
    language, stage2 = _done(run, "language"), _done(run, "stage2")
    assert language["held_out_loss"] < 2.0  # from ln 1,100 = 7.0
    assert stage2["held_out_loss"] < language["held_out_loss"] - 0.1
    assert stage2["samples_seen"] == 1536 and stage2["pool"] == 400 - 32


def test_stage_1_trains_the_projector_alone(run):
    before = torch.load(run / "out" / "language" / "last.pt", weights_only=False)["model"]
    after = torch.load(run / "out" / "stage1" / "last.pt", weights_only=False)["model"]
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    decoder = {n for n in changed if "language_model" in n or "lm_head" in n}
    assert not decoder
    assert any("multi_modal_projector" in n for n in changed)


def test_the_checkpoint_is_small_complete_and_writes_scripts(run):
    from cadcoder.model import Model

    folder = run / "out" / "model"
    assert {p.name for p in folder.iterdir()} >= {"config.json", "model.safetensors", "cadcoder.json", "tokenizer.json"}
    model = Model.load(folder, device="cpu")
    assert model.card.prompt == (ROOT / "prompts" / "default.txt").read_text().strip()
    assert model.card.training["stages"]["stage2"]["samples_seen"] == 1536
    row = pq.read_table(run / "shards" / "data" / "train-00000.parquet").slice(0, 1).to_pylist()[0]
    script = model.candidates(Image.open(io.BytesIO(row["image"]["bytes"])), max_new_tokens=30)[0]
    assert script.startswith('import cadquery as cq\n\nresult = cq.Workplane("XZ").rect(')
    assert "| stage2 | 1,536 |" in (run / "out" / "model_card_training.md").read_text()


def test_scalars_are_written(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(run / "out" / "stage2" / "log"))
    log.Reload()
    assert {"loss/train", "loss/held_out", "rate"} <= set(log.Tags()["scalars"])
    assert len(log.Scalars("loss/train")) == 48


def test_a_finished_run_has_nothing_left_to_do(run, capsys):
    stamp = (run / "out" / "stage2" / "last.pt").stat().st_mtime_ns
    train(_recipe(run))
    assert (run / "out" / "stage2" / "last.pt").stat().st_mtime_ns == stamp
    assert capsys.readouterr().err.count("done before") == 4


def test_killed_and_resumed_equals_unbroken(run, tmp_path):
    """SIGKILL in the middle of stage 2, the same command again: the same weights to the last bit."""
    _shard(tmp_path / "shards" / "data" / "train-00000.parquet", 0, 400)
    (tmp_path / "tiny.yaml").write_text(TINY)
    command = [sys.executable, "-m", "train.run", "--config", str(tmp_path / "tiny.yaml"), f"out={tmp_path / 'out'}"]
    command += [f"data.shards={tmp_path / 'shards'}", "checkpoint_minutes=0.0001"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    last = tmp_path / "out" / "stage2" / "last.pt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert last.exists() and not (tmp_path / "out" / "stage2" / "done.json").exists()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    ours = torch.load(last, weights_only=False)
    whole = torch.load(run / "out" / "stage2" / "last.pt", weights_only=False)
    assert ours["progress"]["samples"] == whole["progress"]["samples"]
    for name, value in whole["model"].items():
        assert torch.equal(value, ours["model"][name]), name


def test_a_longer_run_goes_on_from_before_the_decay(run):
    before = _done(run, "stage2")
    stable = torch.load(run / "out" / "stage2" / "stable.pt", weights_only=False)["progress"]
    assert 0.65 * 1536 <= stable["samples"] <= 0.75 * 1536
    train(_recipe(run, "stage2.samples=2560"))
    after = _done(run, "stage2")
    assert after["samples_seen"] == 2560 and after["best_held_out_loss"] < before["best_held_out_loss"] + 0.05


def test_divergence_is_told(tmp_path):
    from train.loop import TrainingFailed

    _shard(tmp_path / "shards" / "data" / "train-00000.parquet", 0)
    with pytest.raises(TrainingFailed, match="language.lr"):
        train(_recipe(tmp_path, "vision.samples=0", "language.lr=1e30", "language.warmup=0", "language.clip=1e30"))
