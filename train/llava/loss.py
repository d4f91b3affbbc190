"""The loss of both stages: cross entropy of the answers' tokens, summed, so that it can be shared out exactly."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from train.llava.encode import IGNORE


class Answers(torch.nn.Module):
    """A LLaVA whose forward pass is its loss.

    It is what the model's own ``forward`` computes with labels, less the head's work on positions without one: a
    vocabulary of 152,064 on 4,096 tokens would be 2.5 GB in fp32. Padding is at the end and needs no mask under causal
    attention, which leaves the fused kernels usable.
    """

    def __init__(self, llava: Any) -> None:
        super().__init__()
        self.llava = llava

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, pixel_values: Any = None) -> torch.Tensor:
        """Return the summed loss; ids and labels are (batch, length), pixels (pictures, 3, side, side) or None."""
        if pixel_values is not None:
            pixel_values = pixel_values.to(self.llava.model.multi_modal_projector.linear_1.weight.dtype)
        hidden = self.llava.model(input_ids=input_ids, pixel_values=pixel_values, use_cache=False).last_hidden_state
        wanted = labels[:, 1:] != IGNORE
        logits = self.llava.lm_head(hidden[:, :-1][wanted])
        return F.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="sum")


def answer_tokens(labels: torch.Tensor) -> int:
    """Return the number of tokens that :class:`Answers` sums over."""
    return int((labels[:, 1:] != IGNORE).sum())


def choose_trained(model: Any, parts: list[str], adapters: bool) -> None:
    """Let gradients flow to the parts of a stage alone.

    Layers of the tower after the one that is read never get any, and are left out, as are adapters' base weights.
    """
    model.requires_grad_(False)
    inner = model.model
    if "projector" in parts:
        inner.multi_modal_projector.requires_grad_(True)
    if "text" in parts:
        for name, p in [*inner.language_model.named_parameters(), *model.lm_head.named_parameters()]:
            p.requires_grad_("lora_" in name if adapters else p.is_floating_point())
    if "vision" in parts:
        inner.vision_tower.requires_grad_(True)
        for module in unused(inner.vision_tower, int(model.config.vision_feature_layer)):
            module.requires_grad_(False)


def unused(tower: Any, layer: int) -> list[Any]:
    """Return the modules of a tower behind the hidden state ``layer`` (negative: -1 is the last layer's output)."""
    inner = getattr(tower, "vision_model", tower)
    found = [getattr(inner, n) for n in ("post_layernorm", "head") if getattr(inner, n, None) is not None]
    return found + (list(inner.encoder.layers[layer + 1 :]) if layer < -1 else [])
