"""Stage 2: everything is trained, the vision tower included, because ours starts small and from nothing.

LLaVA keeps its tower frozen: CLIP has seen 400 million pictures. A tower that has only seen our contrastive
pre-training still has much to learn about lengths.
"""

from __future__ import annotations

from typing import Any

from train.answers import AnswerLoss
from train.loop import Job


def finetune_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a whole LLaVA."""
    model.requires_grad_(True)
    return Job("stage2", model, model, AnswerLoss(model, before, after))
