"""Train a model from a recipe, end to end.

``python -m train.run --config train/configs/default.yaml [key=value ...]``

Tokenizer, contrastive vision pre-training, language warm-up, stage 1 (projector), stage 2 (everything), and the
checkpoint folder in bfloat16 at ``OUT/model``. The same command goes on where a run was stopped or killed; finished
stages are left alone, and a stage given more minutes or samples than it had is extended.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from cadcoder.errors import CadCoderError, ConfigError
from train.config import STAGES, OutOfTime, Recipe, as_tree, load_recipe
from train.source import Shards, Source


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.run", description="Train a model from a recipe.")
    parser.add_argument("--config", required=True, help="YAML recipe, for example train/configs/default.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example stage2.minutes=60")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes, with everything saved")
    args = parser.parse_args(argv)
    deadline = math.inf if args.minutes is None else time.monotonic() + 60 * args.minutes
    try:
        train(load_recipe(args.config, args.overrides), deadline=deadline)
    except OutOfTime as stop:
        print(f"{stop}; the same command goes on from here", file=sys.stderr)  # noqa: T201
        return OutOfTime.exit_code
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def train(recipe: Recipe, source: Source | None = None, deadline: float = math.inf) -> Path:
    """Run a recipe; return the folder of the finished checkpoint.

    Args:
        recipe: what to do.
        source: where the samples come from; None is the recipe's Parquet shards.
        deadline: of ``time.monotonic()``; training stops there with its state saved.

    Raises:
        ConfigError: if the prompt or the data are not there.
        OutOfTime: at the deadline.
    """
    import torch

    from cadcoder.model.build import build_model, build_processor
    from cadcoder.model.checkpoint import prompt_ids
    from train.export import export
    from train.loop import say
    from train.tune import choose_attention, compile_layers, pick_device, tune

    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    prompt = read_prompt(recipe.prompt)
    device = pick_device(recipe.device)
    tune(device, recipe.threads)
    torch.manual_seed(recipe.seed)
    source = source or Shards(recipe)
    tokenizer = get_tokenizer(recipe, prompt, out, source)
    (out / "recipe.yaml").write_text(yaml.safe_dump(as_tree(recipe), sort_keys=False))
    with source.opened(out / "tokenizer"):
        model = build_model(recipe.model, tokenizer)
        if recipe.start:
            model.load_state_dict(torch.load(Path(recipe.start) / "weights.pt", map_location="cpu", weights_only=True))
        processor = build_processor(recipe.model, tokenizer)
        say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters on {device}, prompt {prompt!r}")
        choose_attention(model, device)
        before, after = prompt_ids(processor, prompt)
        if recipe.compile:
            compile_layers(device, model.model.vision_tower.encoder.layers, model.model.language_model.layers)
        model.to(device)
        try:
            for name in STAGES:
                run_stage(name, recipe, model, tokenizer, (before, after), source, device, deadline)
        except OutOfTime:
            export(recipe, model, processor, prompt, out)
            raise
    folder = export(recipe, model, processor, prompt, out)
    say(f"the model is in {folder}")
    return folder


def run_stage(
    name: str,
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    prompt: tuple[list[int], list[int]],
    source: Source,
    device: Any,
    deadline: float = math.inf,
) -> None:
    """Run one stage, or load what it left."""
    from train.jobs import finetune_job, language_job, pretrain_job
    from train.loop import Job, StageRun, say
    from train.tune import choose_attention, compile_layers
    from train.vision import VisionPretraining, build_clip, vision_job

    stage = getattr(recipe, name)
    if stage.is_off:
        return
    job: Job
    if name == "vision":
        clip = build_clip(recipe.model, tokenizer, recipe.data.max_tokens)
        choose_attention(clip, device)
        if recipe.compile:
            compile_layers(device, clip.vision_model.encoder.layers, clip.text_model.encoder.layers)
        job = vision_job(VisionPretraining(clip, recipe.model).to(device))
    else:
        jobs = {"language": language_job, "stage1": pretrain_job, "stage2": finetune_job}
        job = jobs[name](model, *prompt)
    # Each stage draws its own order, so that stage 2 does not repeat the order of stage 1.
    seed = recipe.seed * len(STAGES) + STAGES.index(name)
    run = StageRun(recipe, job, source.pool(name, seed, stage, tokenizer, device), device, deadline)
    if run.is_done():
        say(f"{name}: done before")
        run.load_best()
    else:
        run.run()
    if name == "vision":
        model.model.vision_tower.load_state_dict(job.module.clip.vision_model.state_dict())


def read_prompt(path: str) -> str:
    """Return a prompt file's text without the final line break.

    Raises:
        ConfigError: if it cannot be read or is empty.
    """
    try:
        text = Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"prompt: {path} cannot be read: {error.strerror}") from None
    if not text:
        raise ConfigError(f"prompt: {path} is empty")
    return text


def get_tokenizer(recipe: Recipe, prompt: str, out: Path, source: Source) -> Any:
    """Train the run's tokenizer, or load it where it was trained before (or where ``recipe.start`` has it)."""
    from transformers import PreTrainedTokenizerFast

    from cadcoder.model.tokenizer import train_tokenizer
    from train.loop import say

    folder = out / "tokenizer"
    if recipe.start and not folder.exists():
        if not (Path(recipe.start) / "weights.pt").exists():
            raise ConfigError(f"start: {recipe.start} holds no weights.pt; give a folder that an earlier run left")
        shutil.copytree(Path(recipe.start) / "tokenizer", folder)
    if (folder / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    scripts = source.scripts(recipe.tokenizer.scripts)
    # The prompt is part of every sample: as text that occurs as often, it becomes a token or two.
    tokenizer = train_tokenizer([*scripts, *[prompt + "\n"] * len(scripts)], recipe.tokenizer.vocab_size)
    tokenizer.save_pretrained(folder)
    lengths = [len(ids) for ids in tokenizer(scripts, add_special_tokens=False)["input_ids"]]
    mean = sum(lengths) / len(lengths)
    say(f"tokenizer: {len(tokenizer)} tokens, {mean:.1f} a script on average, longest {max(lengths)}")
    return tokenizer


if __name__ == "__main__":
    raise SystemExit(main())
