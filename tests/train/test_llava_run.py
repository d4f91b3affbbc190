"""A LLaVA run on one process: stages, adapters, recovery, faults, and what is left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cadcoder.errors import ConfigError
from train.llava.recipe import load
from train.llava.run import StageRun, run_stage
from train.loop import TrainingFailed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def parts(tiny):
    """A Llama-type language model and a CLIP tower of their own, as folders."""
    from transformers import CLIPVisionModel, LlamaForCausalLM, LlavaForConditionalGeneration, PreTrainedTokenizerFast

    llava = LlavaForConditionalGeneration.from_pretrained(tiny / "llava")
    language = LlamaForCausalLM(llava.config.text_config)
    language.save_pretrained(tiny / "language")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny / "llava")
    tokenizer.save_pretrained(tiny / "language")
    CLIPVisionModel(llava.config.vision_config).save_pretrained(tiny / "tower")
    return tiny


def _joined(parts: Path, out: Path, recipe_file, *overrides: str):
    path = recipe_file(parts, out)
    more = ["start=null", f"vision.path={parts / 'tower'}", f"text.path={parts / 'language'}", "text.template=plain"]
    more += [f"stage1.data.path={parts / 'data'}", "stage1.data.held_out=8", "stage1.steps=4", "stage1.batch=8"]
    more += ["stage1.micro=4", "stage1.lr=0.01", "stage2.steps=4", "stage2.train=[projector, text]", "save_steps=2"]
    return load(str(path), [*more, "eval_steps=2", *overrides])


@pytest.fixture(scope="module")
def joined(parts, tmp_path_factory, recipe_file):
    """Stage 1 and stage 2 of a joined model, with scripts run at the end."""
    out = tmp_path_factory.mktemp("joined")
    recipe = _joined(parts, out, recipe_file, "eval_scripts=2", "eval_tokens=8")
    assert run_stage(recipe, "stage1") == 0 and run_stage(recipe, "stage2") == 0
    return out, recipe


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from transformers import LlavaForConditionalGeneration

    return LlavaForConditionalGeneration.from_pretrained(folder).state_dict()


def test_each_stage_trains_its_parts(joined, parts):
    from safetensors.torch import load_file
    from transformers import CLIPVisionModel, LlamaForCausalLM

    out, _ = joined
    after = _weights(out / "stage2" / "last")
    tower = CLIPVisionModel.from_pretrained(parts / "tower").state_dict()
    seen = {k.removeprefix("model.vision_tower."): v for k, v in after.items() if "vision_tower" in k}
    assert seen and all(torch.equal(v, tower[k]) for k, v in seen.items())
    language = LlamaForCausalLM.from_pretrained(parts / "language").state_dict()
    moved = {k for k, v in language.items() if not torch.equal(v, after[k.replace("model.", "model.language_model.")])}
    assert moved == set(language)
    projector = load_file(out / "stage1" / "projector.safetensors")
    assert not torch.equal(projector["linear_1.weight"], after["model.multi_modal_projector.linear_1.weight"])
    first, last = (json.loads((out / "stage1" / "done.json").read_text())["history"][i] for i in (0, -1))
    assert first["step"] == 0 and last["held_out_loss"] < first["held_out_loss"]


def test_a_run_leaves_cards_scalars_and_scores(joined):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from cadcoder.model.checkpoint import read_card

    out, recipe = joined
    card = read_card(out / "stage2" / "best")
    assert card.prompt == (ROOT / "prompts" / "default.txt").read_text().strip() and card.framing.crop
    assert card.recipe == recipe.name and card.training["stages"]["stage2"]["samples"] == 32
    text = (out / "stage2" / "best" / "README.md").read_text()
    assert "| stage1 | projector |" in text and "| stage2 | projector, text |" in text and "valid syntax rate" in text
    history = json.loads((out / "stage2" / "done.json").read_text())["history"]
    assert [row["step"] for row in history] == [0, 2, 4]
    assert all(0 <= row["valid_syntax_rate"] <= 1 and 0 <= row["iou_best"] <= 1 for row in history)
    log = EventAccumulator(str(out / "stage2" / "log"))
    log.Reload()
    assert {"train/loss", "train/tokens_per_second", "train/mfu", "held_out/iou_best"} <= set(log.Tags()["scalars"])


def test_adapters_are_trained_saved_and_merged(joined, parts, tmp_path, recipe_file):
    pytest.importorskip("peft", reason="peft is not installed")
    from peft import PeftModel

    from train.llava.backbones import build

    out, _ = joined
    projector = out / "stage1" / "projector.safetensors"
    lora = ["lora={rank: 2, alpha: 4, dropout: 0.1}", f"projector={projector}", "stage2.projector_lr=1e-3", "keep=1"]
    recipe = _joined(parts, tmp_path, recipe_file, *lora)
    StageRun(recipe, "stage2").run()
    folder = tmp_path / "stage2" / "last"
    merged = _weights(folder)
    # The adapters on the model before, by peft itself, are the merged weights.
    base, _ = build(recipe, torch.float32)
    theirs = PeftModel.from_pretrained(base, folder / "adapter").merge_and_unload().state_dict()
    names = [n for n in merged if "_proj.weight" in n and "language_model" in n]
    assert len(names) == 14 and all(torch.allclose(merged[n], theirs[n], atol=1e-6) for n in names)
    before = build(recipe, torch.float32)[0].state_dict()
    assert any(not torch.equal(merged[n], before[n]) for n in names)
    assert torch.equal(merged["model.language_model.norm.weight"], before["model.language_model.norm.weight"])
    assert len(list((tmp_path / "stage2" / "checkpoints").iterdir())) == 1


def test_a_run_goes_on_exactly_from_any_checkpoint(tiny, tmp_path, recipe_file):
    """The last two checkpoints and the rows after them taken away, the same command again: the same weights."""
    recipe = load(str(recipe_file(tiny, tmp_path)), ["stage2.steps=8", "keep=4", "save_steps=2", "eval_steps=8"])
    StageRun(recipe, "stage2").run()
    stage = tmp_path / "stage2"
    whole, rows = _weights(stage / "last"), (stage / "metrics.jsonl").read_text()
    for name in ("step-00000006", "step-00000008"):
        shutil.rmtree(stage / "checkpoints" / name)
    StageRun(recipe, "stage2").run()
    again = _weights(stage / "last")
    assert all(torch.equal(v, again[k]) for k, v in whole.items())
    losses = [
        [json.loads(r)["loss"] for r in text.splitlines()] for text in (rows, (stage / "metrics.jsonl").read_text())
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 8


def test_divergence_and_memory_end_with_one_line(tiny, tmp_path, recipe_file, capsys, monkeypatch):
    recipe = load(str(recipe_file(tiny, tmp_path / "a")), ["stage2.lr=1e30", "stage2.clip=1e30", "stage2.steps=6"])
    assert run_stage(recipe, "stage2") == TrainingFailed.exit_code
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: stage2 diverged at step") and "lower stage2.lr (now 1e+30)" in line
    run = StageRun(load(str(recipe_file(tiny, tmp_path / "b"))), "stage2")
    # What a GPU raises, from where it raises it.

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(run.model.model, "forward", full)
    with pytest.raises(TrainingFailed, match=r"out of memory .*stage2.micro=1, or stage2.checkpointing=true, or ZeRO"):
        run.run()


def test_what_does_not_fit_is_one_line(parts, tiny, tmp_path, recipe_file):
    def told(match: str, *overrides: str, name: str = "stage2", joined: bool = False) -> None:
        recipe = (
            _joined(parts, tmp_path, recipe_file, *overrides)
            if joined
            else load(str(recipe_file(tiny, tmp_path)), list(overrides))
        )
        with pytest.raises(ConfigError, match=match):
            StageRun(recipe, name)

    told("stage 2 starts from the projector of stage 1", joined=True)
    told("all 72 samples have more than 20 tokens", "stage2.data.max_tokens=20")
    told("there is no file x.gguf", "text.gguf=x.gguf", joined=True, name="stage1")
    told("needs the token <|im_end|>".replace("|", r"\|"), "text.template=chatml", joined=True, name="stage1")
    told("a llama is no CLIP or SigLIP tower", f"vision.path={parts / 'language'}", joined=True, name="stage1")
    told("is no checkpoint", f"start={tmp_path}")
    told("distributed.processes=2 asked for 2 processes and 1 run", "distributed.processes=2")


def test_four_bit_adapters_are_merged_into_whole_weights(joined, parts, tmp_path, recipe_file):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    out, _ = joined
    more = [
        "lora={rank: 2, alpha: 4, bits: 4}",
        f"projector={out / 'stage1' / 'projector.safetensors'}",
        "stage2.steps=2",
    ]
    recipe = _joined(parts, tmp_path, recipe_file, *more)
    run = StageRun(recipe, "stage2")
    layer = run.model.model.language_model.layers[0].self_attn.q_proj.base_layer
    assert type(layer).__name__ == "Linear4bit" and layer.weight.dtype == torch.uint8
    run.run()
    from transformers import LlamaForCausalLM

    merged = _weights(tmp_path / "stage2" / "last")
    base = LlamaForCausalLM.from_pretrained(parts / "language").state_dict()
    name = "layers.0.self_attn.q_proj.weight"
    change = merged[f"model.language_model.{name}"] - base[f"model.{name}"].to(torch.bfloat16).float()
    # What is added is of the adapter's rank, and the weights under it are the whole ones, not the 4-bit ones.
    assert 0 < float(change.abs().max()) < 0.05 and int(torch.linalg.matrix_rank(change, atol=1e-3)) <= 2
