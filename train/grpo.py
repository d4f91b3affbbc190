"""Group relative policy optimisation (Shao et al., arXiv 2402.03300) with our reward, through trl.

``accelerate launch -m train.grpo --model default --data data/synthetic --out runs/grpo --steps 100``

The reward is how near the part of each script is to the true one (:class:`cadcoder.scoring.reward.Reward`); scripts run
in the executor, which never trusts them.
"""

from __future__ import annotations

import argparse
from typing import Any

from cadcoder.errors import ConfigError
from train.loop import say
from train.prefer import asked, common, leave, load, need_trl, options, told
from train.reward import DEFAULT, load_reward


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = options("train.grpo", "Policy optimisation with the executor's reward.")
    parser.add_argument("--group", type=int, default=8, help="scripts a part, compared with each other")
    parser.add_argument("--max-tokens", type=int, default=320, help="longest script")
    parser.add_argument("--workers", type=int, default=2, help="scripts run at once")
    parser.add_argument("--reward", default=DEFAULT, metavar="MODULE:CLASS", help="who marks scripts (%(default)s)")
    args = parser.parse_args(argv)
    return told(lambda: train(args))


def rows_of(path: str, card: Any, size: int, prompt: str) -> Any:
    """Return a data set with ``prompt``, ``image`` and ``truth_code``; pictures are framed when they are read."""
    import datasets

    from cadcoder.model.framing import frame
    from train.llava.recipe import Data
    from train.llava.samples import Samples, open_picture

    samples = Samples(Data(path=path), "--data")

    def rows() -> Any:
        for i in range(len(samples)):
            row = samples[i]
            image = frame(open_picture(row), size, card.framing)
            yield {"prompt": asked(prompt), "image": image, "truth_code": row.answer}

    return datasets.IterableDataset.from_generator(rows)


def train(args: argparse.Namespace) -> None:
    """Train, and leave the checkpoint in ``args.out/model``.

    Raises:
        ConfigError: if the group does not divide the batch.
        MissingDependency: without trl.
    """
    need_trl()
    from trl import GRPOConfig, GRPOTrainer

    if args.group < 2 or args.batch % args.group:
        raise ConfigError(f"--batch: {args.batch} must be a multiple of --group ({args.group}), which is at least 2")
    model, processor, card = load(args.model)
    size = int(processor.image_processor.crop_size["height"])
    rows = rows_of(args.data, card, size, card.prompt)
    config = GRPOConfig(
        **common(args), num_generations=args.group, max_completion_length=args.max_tokens, temperature=1.0, top_p=0.95
    )
    with load_reward(args.reward, valid=0.1, workers=args.workers) as reward:
        trainer = GRPOTrainer(
            model=model, reward_funcs=reward, args=config, train_dataset=rows, processing_class=processor
        )
        trainer.train()
    say(f"grpo: the model is in {leave(trainer, processor, card, args.out, 'grpo')}")


if __name__ == "__main__":
    raise SystemExit(main())
