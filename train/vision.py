"""Vision pre-training: contrastive, picture against program text, and depth.

The contrastive loss is CLIP's (Radford et al., 2021), in ``CLIPModel``: the tower learns what tells parts apart, and
can retrieve. It sees a whole picture through one vector, though, while the decoder will read every patch; so each patch
also tells, through one linear layer, the depth of what it shows: where in space the faces lie is what a script's
numbers are made of. The text encoder and the depth layer are kept in the stage's folder and go no further.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from cadcoder.model.build import Sizes, vision_config
from train.data import bucket
from train.depths import CELL, NOTHING, SCALE, UNKNOWN
from train.loop import Job, Tensors
from train.pixels import pixel_values

#: The depth layer speaks in eighths of the square's side (parts spread about so far), and what an error counts.
DEPTH_UNIT, DEPTH_WEIGHT = 8.0, 4.0


def build_clip(sizes: Sizes, tokenizer: Any, max_tokens: int) -> Any:
    """Return a ``CLIPModel`` whose vision tower has the sizes of the LLaVA's, with a small text encoder."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig

    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.vision_width,
        intermediate_size=4 * sizes.vision_width,
        num_hidden_layers=max(1, sizes.vision_layers // 2),
        num_attention_heads=sizes.vision_heads,
        max_position_embeddings=bucket(max_tokens + 1),  # answers are padded up to there
        projection_dim=sizes.vision_width,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = CLIPConfig(projection_dim=sizes.vision_width)
    config.text_config, config.vision_config = text, vision_config(sizes)
    return CLIPModel(config)


class VisionPretraining(nn.Module):
    """A ``CLIPModel`` and a layer that reads depth from the patches of its vision tower."""

    def __init__(self, clip: Any, sizes: Sizes) -> None:
        """Take the CLIP; ``sizes`` are those of the LLaVA that its tower is for."""
        super().__init__()
        self.clip = clip
        self.cells = sizes.patch // CELL  # of the depth grid, along a side of a patch
        self.side = sizes.image // sizes.patch
        self.norm = nn.LayerNorm(sizes.vision_width)
        self.depth = nn.Linear(sizes.vision_width, 2 * self.cells**2)

    def read_depth(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth and the logit of there being a part, each (B, S / 4, S / 4), of patches (B, N, width)."""
        out = self.depth(self.norm(patches)).unflatten(1, (self.side, self.side))
        grid = out.unflatten(-1, (2, self.cells, self.cells)).permute(3, 0, 1, 4, 2, 5)
        depth, there = grid.flatten(4, 5).flatten(2, 3).float()
        return depth, there


def vision_job(module: VisionPretraining) -> Job:
    """Return the stage that trains a CLIP on pairs, and its tower on depth where the set tells it."""

    def loss(batch: Tensors) -> tuple[torch.Tensor, dict[str, float]]:
        clip = module.clip
        out = clip(input_ids=batch.ids, pixel_values=pixel_values(batch.images), return_loss=True)
        logits = out.logits_per_text.float()
        hits = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
        depth, there = module.read_depth(out.vision_model_output.last_hidden_state[:, 1:])
        known, part = batch.depths != UNKNOWN, batch.depths > NOTHING
        target = batch.depths.float() * (DEPTH_UNIT / SCALE)
        off = ((depth - target).abs() * part).sum() / part.sum().clamp(min=1)
        cover = F.binary_cross_entropy_with_logits(there, part.float(), reduction="none")
        dense = DEPTH_WEIGHT * off + (cover * known).sum() / known.sum().clamp(min=1)
        scalars = {
            "accuracy": float(hits),
            "scale": float(clip.logit_scale.detach().exp()),
            "contrastive": float(out.loss.detach()),
            "depth_error": float(off.detach()) / DEPTH_UNIT,
        }
        return out.loss.float() + dense, scalars

    return Job("vision", module, module, loss, lambda batches: retrieval(module, batches))


@torch.no_grad()
def retrieval(module: VisionPretraining, batches: Iterable[Tensors]) -> dict[str, float]:
    """Return the share of pictures whose own script is among the nearest 1 and 10 of all scripts in the batches."""
    pictures, scripts = [], []
    module.eval()
    for batch in batches:
        out = module.clip(input_ids=batch.ids, pixel_values=pixel_values(batch.images))
        pictures.append(out.image_embeds.float())
        scripts.append(out.text_embeds.float())
    near = torch.cat(pictures) @ torch.cat(scripts).T
    rank = (near > near.diagonal()[:, None]).sum(1)
    return {f"recall@{k} of {len(near)}": float((rank < k).float().mean()) for k in (1, 10)}
