"""Stage 2 of a LLaVA: the projector and the language model learn scripts (or what the recipe names).

``accelerate launch [options] -m train.finetune --config RECIPE [key=value ...] [--dry-run]``
"""

from __future__ import annotations

from train.llava.command import main

if __name__ == "__main__":
    raise SystemExit(main("stage2", "train.finetune"))
