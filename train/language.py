"""Language warm-up: the decoder alone on scripts, so that stage 1 has a language model to project into.

LLaVA starts from a language model that was trained before; a decoder of our own has this instead.
"""

from __future__ import annotations

from typing import Any

from train.answers import AnswerLoss
from train.loop import Job


def language_job(model: Any, before: list[int], after: list[int]) -> Job:
    """Return the stage that trains a LLaVA's decoder on text alone."""
    model.requires_grad_(False)
    model.model.language_model.requires_grad_(True)
    model.lm_head.requires_grad_(True)
    return Job("language", model, model, AnswerLoss(model, before, after, text_only=True))
