"""The table of recipes in docs/training.md: parameters, what is trained, memory a GPU by way of sharing out.

``python -m train.llava.table [--gpus 4] [--limit 80]``
"""

from __future__ import annotations

import argparse
import sys

from train.llava.backbones import plan
from train.llava.dry import GIB, WAYS, activations, count, deepspeed_says, expected_lengths, states
from train.llava.recipe import CONFIGS, is_llava, load
from train.tree import read_yaml


def table(gpus: int, limit: float) -> str:
    """Return the table for so many GPUs; what does not fit ``limit`` GB with its activations is in brackets."""
    lines = [
        f"| recipe, stage 2 | parameters | trained | activations | {' | '.join(w[0] for w in WAYS)} |",
        "|---|---:|---:|---:|" + "---:|" * len(WAYS),
    ]
    for path in sorted(CONFIGS.glob("*.yaml")):
        if not is_llava(read_yaml(path)):
            continue
        recipe = load(path.stem)
        config = plan(recipe).config
        counts = count(recipe, "stage2", config)
        active = activations(config, recipe.stage2, *expected_lengths(recipe.stage2, config))
        cells = []
        for _, zero, offload in WAYS:
            if zero == 3 and counts.frozen_bytes < 2:
                cells.append("-")
                continue
            own = states(counts, zero, offload, gpus)
            says = deepspeed_says(counts, zero, offload, gpus) if counts.trained > 0.9 * counts.whole else None
            text = f"{own / GIB:.1f}" + (f" / {says / GIB:.1f}" if says is not None else "")
            cells.append(text if own + active <= limit * 1e9 else f"({text})")
        whole, trained = counts.whole / 1e6, counts.trained / 1e6
        row = [f"`{path.stem}`", f"{whole:,.0f} M", f"{trained:,.0f} M", f"{active / GIB:.1f}", *cells]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Memory a GPU of every recipe, in GiB.")
    parser.add_argument("--gpus", type=int, default=4)
    parser.add_argument("--limit", type=float, default=80.0, help="memory of a GPU in GB")
    args = parser.parse_args(argv)
    print(table(args.gpus, args.limit), file=sys.stdout)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
