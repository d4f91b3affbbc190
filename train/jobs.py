"""What the language stages of ``train.run`` train: warm-up, stage 1 (projector), stage 2 (everything)."""

from __future__ import annotations

from typing import Any

from train.answers import AnswerLoss
from train.loop import Job


def language_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a LLaVA's decoder on text alone.

    LLaVA starts from a language model that was trained before; a decoder of our own has this instead.
    """
    model.requires_grad_(False)
    model.model.language_model.requires_grad_(True)
    model.lm_head.requires_grad_(True)
    return Job("language", model, model, AnswerLoss(model, before, after, text_only=True))


def pretrain_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a LLaVA's projector alone (Liu et al., arXiv 2310.03744, section 3)."""
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    return Job("stage1", model, model, AnswerLoss(model, before, after))


def finetune_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a whole LLaVA, the vision tower included.

    LLaVA keeps its tower frozen: CLIP has seen 400 million pictures. A tower that has only seen our contrastive
    pre-training still has much to learn about lengths.
    """
    model.requires_grad_(True)
    return Job("stage2", model, model, AnswerLoss(model, before, after))
