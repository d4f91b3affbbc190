"""Stage 1 of a LLaVA: the projector learns to speak the language model's language (arXiv 2310.03744, section 3).

``accelerate launch [options] -m train.pretrain --config RECIPE [key=value ...] [--dry-run]``
"""

from __future__ import annotations

from train.llava.command import main

if __name__ == "__main__":
    raise SystemExit(main("stage1", "train.pretrain"))
