"""Stage 1: the projector alone learns to speak the decoder's language (Liu et al., arXiv 2310.03744, section 3)."""

from __future__ import annotations

from typing import Any

from train.answers import AnswerLoss
from train.loop import Job


def pretrain_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a LLaVA's projector, vision tower and decoder frozen."""
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    return Job("stage1", model, model, AnswerLoss(model, before, after))
