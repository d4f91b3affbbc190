"""The whole of offline training, rehearsed at toy size with the command that the real machine is given.

The kit runs in a process that cannot import what the bare machine lacks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cadcoder.errors import CadCoderError
from train.offline.pack import pack
from train.offline.parts import join, split
from train.offline.unpack import unpack

#: What the bare machine does not have.
ABSENT = ("cadquery", "OCP", "vtk", "vtkmodules", "datasets", "trimesh")
TOY = (
    "device=cpu threads=1 compile=false log_seconds=0 data.held_out=8 data.max_tokens=150 "
    "drawn.canvas=64 drawn.chunk=16 drawn.two=0.2 drawn.four=0.2 tokenizer.vocab_size=1100 "
    "model.image=32 model.patch=8 model.vision_width=32 model.vision_layers=1 model.vision_heads=2 model.width=32 "
    "model.layers=1 model.heads=2 model.kv_heads=2 model.feed_forward=64 model.positions=512 "
    "vision.minutes=null vision.samples=32 vision.batch=16 language.minutes=null language.samples=32 language.batch=16 "
    "stage1.minutes=null stage1.samples=16 stage1.batch=16 stage2.minutes=null stage2.samples=48 stage2.batch=16"
).split()


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, Path | dict[str, str]]:
    """A kit, a work folder, and an environment in which the kit's machine is as bare as the real one."""
    folder = tmp_path_factory.mktemp("bare")
    pack(folder / "kit")
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nclass Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {ABSENT!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    script = folder / "kit" / "fire.sh"
    # The script sets PYTHONPATH itself; what hides comes with it.
    script.write_text(script.read_text().replace('PYTHONPATH="$work', f'PYTHONPATH="{hidden}:$work'))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "WORK": str(folder / "work"), "OMP_NUM_THREADS": "1"}
    return {"folder": folder, "environment": environment}


def _fire(bare, *options: str) -> subprocess.CompletedProcess[str]:
    folder = bare["folder"]
    command = ["sh", str(folder / "kit" / "fire.sh"), "--out", str(folder / "out"), "--reserve", "0"]
    command += ["--parts", "60", "--shard", "30", "--first", "2", "--workers", "1", "--evaluate", "3", *options, *TOY]
    return subprocess.run(command, env=bare["environment"], capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def pieces(bare):
    """Pieces of work: one is stopped after its first step, one leaves a process behind, one waits for that."""
    folder = bare["folder"]
    build = [sys.executable, "-m", "train.offline.meshes", "--out", str(folder / "work" / "meshes"), "--parts", "60"]
    (folder / "work").mkdir()
    where = {**bare["environment"], "PYTHONPATH": f"{folder / 'hidden'}:{folder / 'kit'}"}
    built = subprocess.run([*build, "--shard", "30", "--workers", "1"], env=where, cwd=folder / "kit", timeout=300)
    assert built.returncode == 0
    first = _fire(bare, "--minutes", "0", "--no-measure")
    early = {p.name for p in (folder / "out").iterdir()}
    shutil.rmtree(folder / "out")
    second = _fire(bare, "--detach", "--minutes", "0")
    # The kit comes again, as it does where every piece brings its files anew.
    shutil.move(folder / "kit", folder / "old")
    shutil.copytree(folder / "old", folder / "kit")
    shutil.rmtree(folder / "old")
    third = _fire(bare, "--detach", "--minutes", "9", "--part-size", "0.12")
    return first, early, second, third


def test_a_piece_stops_in_time_and_leaves_what_there_is(pieces):
    first, early, _, _ = pieces
    assert first.returncode == 75, first.stderr
    assert "time is up in vision" in first.stderr and "give the same command again" in first.stderr
    assert early >= {"report.json", "model.tar", "log-end.txt", "parts.json"}


def test_training_goes_on_between_pieces_and_the_last_one_ends_the_work(bare, pieces):
    _, _, second, third = pieces
    assert second.returncode == 75 and "fire: training goes on; give the same command again" in second.stderr
    assert third.returncode == 0, third.stderr
    assert "training goes on in process" not in third.stderr and "fire: done" in third.stderr
    log = (bare["folder"] / "work" / "log.txt").read_text()
    assert log.count("held-out loss") == 4 and log.count("held out, corner") == 1
    report = json.loads((bare["folder"] / "work" / "report.json").read_text())
    assert report["stages"]["vision"]["samples_seen"] == 32 and report["stages"]["stage2"]["samples_seen"] >= 48
    assert set(report["held_out"]) >= {"corner", "photograph", "sketch", "turned_2", "turned_4"}
    assert report["rates"]["operations_per_sample"] > 0 and report["rates"]["pictures_per_second"]["mix"] > 0
    assert report["rates"]["same_on_both"] > 0.999


def test_what_comes_back_is_a_checkpoint(bare, pieces, tmp_path):
    out = bare["folder"] / "out"
    assert len(list(out.iterdir())) <= 8 and all(p.stat().st_size <= 0.12 * 2**20 for p in out.iterdir())
    assert len(list(out.glob("model.tar.*"))) > 1
    unpack([out], tmp_path)
    from cadcoder.model import Model

    model = Model.load(tmp_path / "model", device="cpu")
    assert model.image_size == 32 and model.card.training["stages"]["stage2"]["samples_seen"] >= 48
    assert isinstance(model.candidates(Image.new("RGB", (64, 64), "white"), max_new_tokens=5)[0], str)
    weights = torch.load(tmp_path / "start" / "weights.pt", weights_only=True)
    assert all(v.dtype == torch.float32 for v in weights.values() if v.is_floating_point())
    assert (tmp_path / "start" / "tokenizer" / "tokenizer.json").exists()


def test_a_later_run_starts_from_what_came_back(bare, pieces, tmp_path):
    from train.config import load_recipe
    from train.offline.pool import MeshSource
    from train.run import train

    unpack([bare["folder"] / "out"], tmp_path)
    toy = [o for o in TOY if not o.startswith(("vision.samples", "language.samples", "stage"))]
    off = ["vision.samples=0", "language.samples=0", "stage1.minutes=0", "stage2.minutes=0"]
    settings = [f"out={tmp_path / 'run'}", f"data.shards={bare['folder'] / 'work' / 'meshes'}"]
    recipe = load_recipe("train/configs/gpu.yaml", [*toy, *off, *settings, f"start={tmp_path / 'start'}"])
    folder = train(recipe, MeshSource(recipe))
    from safetensors.torch import load_file

    saved = load_file(folder / "model.safetensors")
    weights = torch.load(tmp_path / "start" / "weights.pt", weights_only=True)
    name = next(n for n in weights if n.endswith("multi_modal_projector.linear_1.weight"))
    other = next(n for n in saved if n.endswith("multi_modal_projector.linear_1.weight"))
    assert torch.equal(saved[other], weights[name].bfloat16())


def test_torn_and_missing_parts_are_named(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "a.bin").write_bytes(rng.bytes(25_000))
    (tmp_path / "b.txt").write_text("all of it")
    written = split([tmp_path / "a.bin", tmp_path / "b.txt"], tmp_path / "out", 10_000)
    assert [p.name for p in written] == ["a.bin.00", "a.bin.01", "a.bin.02", "b.txt", "parts.json"]
    made = join([tmp_path / "out"], tmp_path / "back")
    assert [p.read_bytes() for p in made] == [(tmp_path / n).read_bytes() for n in ("a.bin", "b.txt")]
    (tmp_path / "out" / "a.bin.01").write_bytes(b"torn")
    (tmp_path / "out" / "b.txt").unlink()
    with pytest.raises(CadCoderError, match="a.bin.01 is torn; b.txt is missing"):
        join([tmp_path / "out"], tmp_path / "back")
    # A second transfer of the same parts mends the first.
    again = tmp_path / "again"
    split([tmp_path / "a.bin", tmp_path / "b.txt"], again, 10_000)
    (again / "parts.json").unlink()
    assert len(join([tmp_path / "out", again], tmp_path / "back")) == 2
    with pytest.raises(CadCoderError, match="parts.json"):
        join([again], tmp_path / "back")


def test_a_kit_is_small_and_replaces_only_kits(tmp_path):
    assert pack(tmp_path / "kit") < 4 * 2**20
    assert not list((tmp_path / "kit").rglob("*.safetensors"))
    assert pack(tmp_path / "kit") < 4 * 2**20
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(CadCoderError, match="holds no kit"):
        pack(tmp_path / "mine")
    with pytest.raises(CadCoderError, match="more than"):
        pack(tmp_path / "other", limit=1000)


def test_several_views_are_read_as_the_processor_sets_them():
    from cadcoder.model.build import Sizes, build_model, build_processor
    from cadcoder.model.checkpoint import prompt_ids
    from cadcoder.model.tokenizer import train_tokenizer
    from train.answers import AnswerLoss
    from train.offline.evaluate import greedy

    torch.manual_seed(0)
    code = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(60, 40).extrude(20)\n'
    tokenizer = train_tokenizer([code] * 3, 1100)
    sizes = Sizes(32, 8, 32, 2, 2, 32, 2, 2, 2, 64, 256)
    model = build_model(sizes, tokenizer).eval()
    processor = build_processor(sizes, tokenizer)
    rng = np.random.default_rng(0)
    views = rng.integers(0, 256, (2, 32, 32), dtype=np.uint8)
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Write:"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    pictures = [Image.fromarray(v).convert("RGB") for v in views]
    inputs = processor(images=pictures, text=text, return_tensors="pt")
    assert int((inputs["input_ids"] == tokenizer.convert_tokens_to_ids("<image>")).sum()) == 2 * sizes.image_tokens
    written = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    answers = AnswerLoss(model, *prompt_ids(processor, "Write:"))
    ours = greedy(answers, torch.from_numpy(views)[None], tokenizer.eos_token_id, 6)[0]
    assert ours == [i for i in written.tolist() if i != tokenizer.eos_token_id]
