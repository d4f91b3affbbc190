"""Two processes as a user launches them: DeepSpeed's engine is in force, every rank has samples of its own, and the run
is the one that a single process makes; killed and resumed it is the same still.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="deepspeed is not installed (pip install 'cadcoder[deepspeed]')",
)


def _command(recipe: Path, zero: int) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--use_deepspeed"]
    launch += ["--zero_stage", str(zero), "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", str(port)]
    return [*launch, "-m", "train.finetune", "--config", str(recipe)]


def _start(recipe: Path, zero: int, log: Path) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("w") as out:
        return subprocess.Popen(
            _command(recipe, zero), cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True
        )


def _finish(process: subprocess.Popen, log: Path) -> None:
    assert process.wait(timeout=400) == 0, log.read_text()[-3000:]


def _curve(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "stage2" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == list(range(1, 17))
    return [r["loss"] for r in rows]


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory, recipe_file):
    """The run on one process, in this one."""
    from train.llava.recipe import load
    from train.llava.run import StageRun

    out = tmp_path_factory.mktemp("alone")
    StageRun(load(str(recipe_file(tiny, out))), "stage2").run()
    return out


@pytest.fixture(scope="module")
def two(tiny, tmp_path_factory, recipe_file):
    """ZeRO-2 unbroken, and ZeRO-3 killed at its first checkpoint and started again, one after the other."""
    outs = {zero: tmp_path_factory.mktemp(f"zero{zero}") for zero in (2, 3)}
    recipes = {zero: recipe_file(tiny, out) for zero, out in outs.items()}
    _finish(_start(recipes[2], 2, outs[2] / "log"), outs[2] / "log")
    first = _start(recipes[3], 3, outs[3] / "log1")
    folder = outs[3] / "stage2" / "checkpoints"
    deadline = time.monotonic() + 400
    while not list(folder.glob("step-????????")) and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    # The launcher gives its workers sessions of their own: each is killed, as a machine that goes down would.
    for process in [*psutil.Process(first.pid).children(recursive=True), psutil.Process(first.pid)]:
        process.send_signal(signal.SIGKILL)
    first.wait()
    assert list(folder.glob("step-????????")), (outs[3] / "log1").read_text()[-3000:]
    assert not (outs[3] / "stage2" / "done.json").exists()
    _finish(_start(recipes[3], 3, outs[3] / "log"), outs[3] / "log")
    return outs


@needs_deepspeed
def test_what_was_asked_for_is_in_force(two):
    for zero, out in two.items():
        done = json.loads((out / "stage2" / "done.json").read_text())
        force, wanted = done["force"], done["asked"]
        assert (wanted["processes"], wanted["zero"], wanted["sources"]) == (2, zero, ["accelerate launch"])
        assert (force["engine"], force["zero"], force["world"], force["offload"]) == ("DeepSpeedEngine", zero, 2, False)
        assert (force["micro"], force["accumulation"]) == (2, 2)
        assert force["partitioned"] > 0.3 if zero == 3 else force["partitioned"] == 0
        ours, theirs = done["first_samples"]
        assert len(ours) == len(theirs) == 4 and not set(ours) & set(theirs)


@needs_deepspeed
def test_two_processes_are_as_one(two, alone):
    """The same loss at every step as one process on the same global batch, and so the same samples in all."""
    one = _curve(alone)
    assert one[-1] < one[0] - 1
    for zero, out in two.items():
        assert _curve(out) == pytest.approx(one, abs=1e-4), zero


@needs_deepspeed
def test_killed_and_resumed_equals_unbroken(two):
    assert "from step" in (two[3] / "log").read_text()
    assert _curve(two[3]) == pytest.approx(_curve(two[2]), abs=1e-5)
    found = sorted(p.name for p in (two[3] / "stage2" / "checkpoints").iterdir())
    assert found == ["step-00000012", "step-00000016"]


@needs_deepspeed
def test_the_checkpoint_loads_and_generates(two, tiny):
    import torch
    from PIL import Image
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    from cadcoder.model import Model

    state, written = {}, list[str]()
    for zero, out in two.items():
        folder = out / "stage2" / "best"
        model = LlavaForConditionalGeneration.from_pretrained(folder)
        processor = LlavaProcessor.from_pretrained(folder)
        content = [{"type": "image"}, {"type": "text", "text": "CadQuery:"}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        batch = processor(
            images=Image.new("RGB", (32, 32), "white"), text=text, return_tensors="pt", add_special_tokens=False
        )
        ids = model.generate(**batch, max_new_tokens=20, do_sample=False)[0, batch["input_ids"].shape[1] :]
        assert len(ids) > 1
        written.append(processor.decode(ids))
        state[zero] = model.state_dict()
    assert written[0] == written[1]
    for name, value in state[2].items():
        assert torch.allclose(value, state[3][name], atol=1e-4), name
    before = LlavaForConditionalGeneration.from_pretrained(tiny / "llava").state_dict()
    assert not torch.equal(
        before["model.language_model.embed_tokens.weight"], state[3]["model.language_model.embed_tokens.weight"]
    )
    assert Model.load(two[2] / "stage2" / "best", device="cpu").card.framing.crop


def test_processes_that_were_asked_for_and_do_not_run_are_an_error():
    """``accelerate launch --cpu --num_processes 2`` starts one process; that ends here."""
    from cadcoder.errors import ConfigError
    from train.llava.distribution import asked, check_disjoint, start
    from train.llava.recipe import Distributed

    wanted = asked(Distributed(), ["--cpu", "--num_processes", "2", "-m", "train.finetune"])
    with pytest.raises(ConfigError, match=r"asked for 2 processes and 1 run"):
        start(wanted, "fp32")
    with pytest.raises(ConfigError, match="asked for ZeRO stage 3 and DeepSpeed is not in force"):
        start(asked(Distributed(zero=3), []), "fp32")
    with pytest.raises(ConfigError, match="mixed precision bf16"):
        start(asked(Distributed(), ["--mixed_precision", "bf16", "x"]), "fp32")
    assert check_disjoint([1, 2], False) == [[1, 2]]
