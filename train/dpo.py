"""Direct preference optimisation (Rafailov et al., arXiv 2305.18290) on pairs of :mod:`train.pairs`, through trl.

``accelerate launch -m train.dpo --model default --data data/pairs --out runs/dpo --steps 100``
"""

from __future__ import annotations

import argparse

from train.loop import say
from train.prefer import answered, asked, common, leave, load, need_trl, options, shards, told


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = options("train.dpo", "Direct preference optimisation on pairs.").parse_args(argv)
    return told(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Train, and leave the checkpoint in ``args.out/model``.

    Raises:
        ConfigError: if there are no pairs.
        MissingDependency: without trl.
    """
    need_trl()
    import datasets
    from trl import DPOConfig, DPOTrainer

    model, processor, card = load(args.model)
    rows = datasets.load_dataset("parquet", data_files=shards(args.data), split="train")
    rows = rows.cast_column("images", datasets.Sequence(datasets.Image()))
    rows = rows.map(
        lambda r: {"prompt": asked(r["prompt"]), "chosen": answered(r["chosen"]), "rejected": answered(r["rejected"])},
        remove_columns=["chosen_reward", "rejected_reward", "truth_code"],
    )
    config = DPOConfig(**common(args), max_length=None)
    trainer = DPOTrainer(model=model, args=config, train_dataset=rows, processing_class=processor)
    trainer.train()
    say(f"dpo: the model is in {leave(trainer, processor, card, args.out, 'dpo')}")


if __name__ == "__main__":
    raise SystemExit(main())
