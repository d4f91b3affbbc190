"""Measure models on the same parts, in one command: ours, other people's, hosted APIs, and what costs nothing.

``python -m eval.benchmark --suite SUITE|FOLDER --model NAME [--model NAME ...] --out DIR``

Writes into DIR: ``rows.jsonl`` (a row a part and model, as they are made), ``answers/`` (every answer that was paid
for), ``calls.jsonl``, ``report.html``, ``report.md``, ``report.tex``. The same command goes on where a run stopped.
See docs/benchmarking.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cadcoder.errors import CadCoderError
from cadcoder.scoring.protocol import PROTOCOLS
from eval.money import read_budget
from eval.run import Plan, carry_out
from eval.suites import names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        return carry_out(_plan(argv))
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)  # noqa: T201
        return 130


def _plan(argv: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m eval.benchmark", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--suite", required=True, help=f"a folder of pictures and true parts, a YAML file, or {', '.join(names())}")
    add("--data", type=Path, help="where the suite's files are, for suites that need them")
    add("--model", action="append", default=[], metavar="NAME[,option=value...]", help="may be given several times")
    add(
        "--answers", action="append", default=[], type=Path, metavar="FOLDER", help="others' answers, CADBench's layout"
    )
    add("--out", required=True, type=Path, help="folder for rows, answers and reports")
    add("--prompt", default="paper-plus", help="how hosted models are asked: a file of prompts/ (default: paper-plus)")
    add("--budget", metavar="DOLLARS|none", help="what may be spent in --out altogether; needed where calls cost")
    add("--estimate", action="store_true", help="say what it would take, and stop")
    add("--repeats", type=int, default=1, help="ask the same this often (hosted models)")
    add("--limit", type=int, help="only the first so many parts")
    add("--count", type=int, help="of synthetic parts")
    add("--seed", type=int, help="of synthetic parts")
    add("--protocol", choices=[*PROTOCOLS], help="also measure as a published evaluator does (slow)")
    add("--cache", type=Path, help="folder of answers to share between runs (default: OUT/answers)")
    add("--cadbench", type=Path, metavar="FOLDER", help="also write the answers in CADBench's layout")
    add("--gallery", type=int, default=200, help="parts shown in report.html (default: 200)")
    add("--workers", type=int, default=2, help="scripts run at once")
    args = parser.parse_args(argv)
    return Plan(
        suite=args.suite,
        data=args.data,
        models=tuple(args.model),
        stored=tuple(args.answers),
        out=args.out,
        prompt=args.prompt,
        budget=read_budget(args.budget),
        budget_said=args.budget is not None,
        estimate_only=args.estimate,
        repeats=args.repeats,
        limit=args.limit,
        count=args.count,
        seed=args.seed,
        protocol=args.protocol,
        cache=args.cache,
        cadbench=args.cadbench,
        gallery=args.gallery,
        workers=args.workers,
    )


if __name__ == "__main__":
    sys.exit(main())
