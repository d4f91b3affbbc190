"""Vision pre-training: picture against program text, contrastive, in ``CLIPModel`` (Radford et al., 2021).

The vision tower learns from it what tells parts apart before a decoder reads it; the text encoder is kept in the
stage's folder and goes no further.
"""

from __future__ import annotations

from typing import Any

import torch

from cadcoder.model.build import Sizes, vision_config
from train.loop import Job
from train.pixels import pixel_values


def build_clip(sizes: Sizes, tokenizer: Any, max_tokens: int) -> Any:
    """Return a ``CLIPModel`` whose vision tower has the sizes of the LLaVA's, with a small text encoder."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig

    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.vision_width,
        intermediate_size=4 * sizes.vision_width,
        num_hidden_layers=max(1, sizes.vision_layers // 2),
        num_attention_heads=sizes.vision_heads,
        max_position_embeddings=max_tokens + 2,
        projection_dim=sizes.vision_width,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = CLIPConfig(projection_dim=sizes.vision_width)
    config.text_config, config.vision_config = text, vision_config(sizes)
    return CLIPModel(config)


def vision_job(clip: Any) -> Job:
    """Return the stage that trains a ``CLIPModel`` on pairs."""

    def loss(images: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        out = clip(input_ids=ids, pixel_values=pixel_values(images), return_loss=True)
        logits = out.logits_per_text.float()
        hits = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
        return out.loss.float(), {"accuracy": float(hits), "scale": float(clip.logit_scale.detach().exp())}

    return Job("vision", clip, clip, loss)
