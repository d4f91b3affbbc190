"""Optimizers and learning rates."""

from __future__ import annotations

import math
from typing import Any

import torch

from train.config import Stage


def build_optimizers(module: torch.nn.Module, stage: Stage, device: torch.device) -> list[Any]:
    """Return the optimizers of a module's trainable parameters.

    Matrices decay; vectors, embeddings and positions do not. With ``muon`` the inner matrices get Muon (Jordan et
    al., 2024, ``torch.optim.Muon`` with the step size matched to AdamW's), all others AdamW.
    """
    inner, matrices, others = [], [], []
    for name, p in module.named_parameters():
        if not p.requires_grad:
            continue
        embedding = any(part in name for part in ("embed", "lm_head", "logit_scale"))
        if p.ndim < 2 or embedding:
            others.append(p)
        elif p.ndim == 2 and "layers." in name:
            inner.append(p)
        else:
            matrices.append(p)
    found: list[Any] = []
    if stage.optimizer == "muon" and inner:
        found.append(
            torch.optim.Muon(inner, lr=stage.lr, weight_decay=stage.weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    else:
        matrices += inner
    groups = [{"params": matrices, "weight_decay": stage.weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    if groups:
        found.append(torch.optim.AdamW(groups, lr=stage.lr, betas=(0.9, 0.98), fused=True))
    return found


def learning_rate(stage: Stage, share: float, samples: int) -> float:
    """Return the rate at a share of the stage (0 to 1) and a number of samples seen."""
    rise = min(1.0, (samples + stage.batch) / stage.warmup) if stage.warmup else 1.0
    if stage.schedule == "cosine":
        return stage.lr * min(rise, 0.5 * (1 + math.cos(math.pi * share)))
    fall = (1 - share) / stage.decay if stage.decay and share > 1 - stage.decay else 1.0
    return stage.lr * min(rise, max(0.0, fall))


def set_rate(optimizers: list[Any], rate: float) -> None:
    """Set the learning rate of every group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
