"""What DPO and GRPO share: the checkpoint, its processor, data in trl's form, and the checkpoint that is left."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cadcoder.errors import CadCoderError, ConfigError, MissingDependency


def options(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that both have."""
    parser = argparse.ArgumentParser(prog=f"accelerate launch -m {program}", description=description)
    parser.add_argument("--model", default="default", help="a checkpoint folder, or default")
    parser.add_argument("--data", required=True, help="Parquet shards")
    parser.add_argument("--out", required=True, type=Path, help="folder of the run; the checkpoint is in OUT/model")
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps")
    parser.add_argument("--batch", type=int, default=8, help="samples a process computes in a step")
    parser.add_argument("--lr", type=float, default=1e-6, help="learning rate")
    parser.add_argument("--beta", type=float, default=None, help="weight of staying near the first model")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def told(work: Callable[[], None]) -> int:
    """Run a command; return its exit code. What a person can mend is one line on stderr."""
    try:
        work()
    except CadCoderError as error:
        if int(os.environ.get("RANK", "0")) == 0:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def need_trl() -> None:
    """Raise MissingDependency without trl."""
    import importlib.util

    if importlib.util.find_spec("trl") is None:
        raise MissingDependency("preference training needs trl: pip install 'cadcoder[train]'")


def load(name: str) -> tuple[Any, Any, Any]:
    """Return (model in fp32 or bf16, processor, card) of a checkpoint.

    Raises:
        InputError: if there is none.
    """
    import torch
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    from cadcoder.model.checkpoint import find, read_card

    folder = find(name)
    kind = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=kind, local_files_only=True)
    return model, LlavaProcessor.from_pretrained(folder, local_files_only=True), read_card(folder)


def shards(path: str) -> list[str]:
    """Return the Parquet files of a set.

    Raises:
        ConfigError: if there is none.
    """
    from train.data import shard_files

    files = [str(f) for f in ([Path(path)] if Path(path).is_file() else shard_files(Path(path)))]
    if not files:
        raise ConfigError(f"--data: no Parquet shard in {path}")
    return files


def asked(prompt: str) -> list[dict[str, Any]]:
    """Return the turn that a picture and a prompt are, as trl takes it."""
    return [{"role": "user", "content": prompt}]


def answered(text: str) -> list[dict[str, Any]]:
    """Return the turn that a script is."""
    return [{"role": "assistant", "content": text}]


def common(args: argparse.Namespace) -> dict[str, Any]:
    """Return what both of trl's configurations take from the command line."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(args.out),
        "max_steps": args.steps,
        "per_device_train_batch_size": args.batch,
        "learning_rate": args.lr,
        "lr_scheduler_type": "cosine",
        "seed": args.seed,
        "bf16": gpu,
        "gradient_checkpointing": gpu,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "remove_unused_columns": False,
        **({} if args.beta is None else {"beta": args.beta}),
        # "use_cpu" would drop DeepSpeed without a word; without a GPU the CPU is taken anyway.
    }


def leave(trainer: Any, processor: Any, card: Any, out: Path, what: str) -> Path:
    """Write the checkpoint to ``out/model`` with the card of the one it came from; return the folder."""
    from cadcoder.model.checkpoint import Card

    folder = out / "model"
    trainer.save_model(str(folder))
    if trainer.accelerator.is_main_process:
        processor.save_pretrained(folder)
        history = [{k: v for k, v in row.items() if isinstance(v, int | float)} for row in trainer.state.log_history]
        fields = {k: getattr(card, k) for k in asdict(card)} | {"training": {**card.training, what: history}}
        Card(**fields).save(folder)
    return folder
