"""The command line of ``train.pretrain`` and ``train.finetune``."""

from __future__ import annotations

import argparse
import sys

from cadcoder.errors import CadCoderError


def main(stage: str, program: str, argv: list[str] | None = None) -> int:
    """Run a stage's command line; return the exit code."""
    which = {"stage1": "Stage 1: the projector learns.", "stage2": "Stage 2: the recipe's parts learn scripts."}[stage]
    parser = argparse.ArgumentParser(prog=f"accelerate launch -m {program}", description=which)
    parser.add_argument("--config", required=True, metavar="RECIPE", help="a YAML file, or a name: cad-coder-13b")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=f"for example {stage}.lr=1e-4")
    parser.add_argument("--dry-run", action="store_true", help="print sizes, steps and memory; needs no weights")
    parser.add_argument("--gpus", type=int, default=None, metavar="N", help="with --dry-run: processes in all")
    args = parser.parse_args(argv)
    try:
        from train.llava.recipe import load

        recipe = load(args.config, args.overrides)
        if args.dry_run:
            from train.llava.dry import report

            print(report(recipe, stage, args.gpus))  # noqa: T201
            return 0
    except CadCoderError as error:
        import os

        if int(os.environ.get("RANK", "0")) == 0:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    from train.llava.run import run_stage

    return run_stage(recipe, stage)
