"""Train a model from a recipe, end to end.

``python -m train.run --config train/configs/default.yaml [key=value ...]``

Tokenizer, contrastive vision pre-training, language warm-up, stage 1 (projector), stage 2 (everything), and the
checkpoint folder in bfloat16 at ``OUT/model``. The same command goes on where a run was stopped or killed; finished
stages are left alone, and a stage given more minutes or samples than it had is extended.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from cadcoder.errors import CadCoderError, ConfigError
from train.config import STAGES, Recipe, as_tree, load_recipe


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.run", description="Train a model from a recipe.")
    parser.add_argument("--config", required=True, help="YAML recipe, for example train/configs/default.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example stage2.minutes=60")
    args = parser.parse_args(argv)
    try:
        train(load_recipe(args.config, args.overrides))
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def train(recipe: Recipe) -> Path:
    """Run a recipe; return the folder of the finished checkpoint.

    Raises:
        ConfigError: if the prompt or the data are not there.
    """
    import torch

    from cadcoder.model.build import build_model, build_processor
    from cadcoder.model.checkpoint import prompt_ids
    from train.data import CacheKey
    from train.export import export, recipe_framing
    from train.loop import say
    from train.tune import choose_attention, compile_layers, pick_device, tune

    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    prompt = read_prompt(recipe.prompt)
    device = pick_device(recipe.device)
    tune(device, recipe.threads)
    torch.manual_seed(recipe.seed)
    tokenizer = get_tokenizer(recipe, prompt, out)
    (out / "recipe.yaml").write_text(yaml.safe_dump(as_tree(recipe), sort_keys=False))
    key = CacheKey(recipe.model.image, recipe_framing(recipe), recipe.data.max_tokens, _digest(out / "tokenizer"))
    caching = follow(recipe, key, out / "tokenizer")
    try:
        model = build_model(recipe.model, tokenizer)
        processor = build_processor(recipe.model, tokenizer)
        say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters on {device}, prompt {prompt!r}")
        choose_attention(model, device)
        before, after = prompt_ids(processor, prompt)
        if recipe.compile:
            compile_layers(model.model.vision_tower.encoder.layers, model.model.language_model.layers)
        model.to(device)
        for name in STAGES:
            run_stage(name, recipe, model, tokenizer, (before, after), key, device)
    finally:
        caching.terminate()
    folder = export(recipe, model, processor, prompt, out)
    say(f"the model is in {folder}")
    return folder


def run_stage(
    name: str, recipe: Recipe, model: Any, tokenizer: Any, prompt: tuple[list[int], list[int]], key: Any, device: Any
) -> None:
    """Run one stage, or load what it left."""
    from train.data import Pool
    from train.finetune import finetune_job
    from train.language import language_job
    from train.loop import Job, StageRun, say
    from train.pretrain import pretrain_job
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
            compile_layers(clip.vision_model.encoder.layers, clip.text_model.encoder.layers)
        job = vision_job(VisionPretraining(clip, recipe.model).to(device))
    else:
        jobs = {"language": language_job, "stage1": pretrain_job, "stage2": finetune_job}
        job = jobs[name](model, *prompt)
    # Each stage draws its own order, so that stage 2 does not repeat the order of stage 1.
    seed = recipe.seed * len(STAGES) + STAGES.index(name)
    order = Path(recipe.out) / "shards.json"
    pool = Pool(recipe.data, key, seed, stage.batch, tokenizer.eos_token_id, tokenizer.pad_token_id, order)
    run = StageRun(recipe, job, pool, device)
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


def get_tokenizer(recipe: Recipe, prompt: str, out: Path) -> Any:
    """Train the run's tokenizer, or load it where it was trained before."""
    from transformers import PreTrainedTokenizerFast

    from cadcoder.model.tokenizer import train_tokenizer
    from train.data import read_scripts
    from train.loop import say

    folder = out / "tokenizer"
    if (folder / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    scripts = read_scripts(Path(recipe.data.shards), recipe.tokenizer.scripts)
    if not scripts:
        raise ConfigError(
            f"data.shards: no Parquet shard in {recipe.data.shards}; build some with: "
            f"python -m dataset_build.build --source synthetic --count 100000 --out {recipe.data.shards}"
        )
    # The prompt is part of every sample: as text that occurs as often, it becomes a token or two.
    tokenizer = train_tokenizer([*scripts, *[prompt + "\n"] * len(scripts)], recipe.tokenizer.vocab_size)
    tokenizer.save_pretrained(folder)
    lengths = [len(ids) for ids in tokenizer(scripts, add_special_tokens=False)["input_ids"]]
    mean = sum(lengths) / len(lengths)
    say(f"tokenizer: {len(tokenizer)} tokens, {mean:.1f} a script on average, longest {max(lengths)}")
    return tokenizer


def follow(recipe: Recipe, key: Any, tokenizer: Path) -> Any:
    """Start the process that caches shards, and wait until the first is there."""
    from train.data import cache_folder, cached

    folder = Path(recipe.data.shards)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=keep_caching, args=(recipe, key, tokenizer, os.getpid()), daemon=True)
    process.start()
    while not cached(folder, cache_folder(recipe.data), key):
        if not process.is_alive():
            raise ConfigError(f"data.shards: the shards in {folder} could not be read; see the message above")
        time.sleep(0.1)
    return process


def keep_caching(recipe: Recipe, key: Any, tokenizer: Path, parent: int) -> None:
    """Cache shards as they arrive, until the parent is gone."""
    from tokenizers import Tokenizer

    from train.data import beside, cache_folder, cache_name, cache_shard, shard_files

    os.nice(5)
    folder, cache = Path(recipe.data.shards), cache_folder(recipe.data)
    backend = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))

    def encode(texts: list[str]) -> list[list[int]]:
        return [e.ids for e in backend.encode_batch(texts, add_special_tokens=False)]

    while os.getppid() == parent:
        for path in shard_files(folder):
            if not beside(cache / cache_name(folder, path, key), ".done.json").exists():
                cache_shard(folder, path, cache, key, encode)
                break
        else:
            time.sleep(2)


def _digest(tokenizer: Path) -> str:
    return hashlib.sha256((tokenizer / "tokenizer.json").read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
