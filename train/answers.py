"""The loss of the language stages: next-token cross entropy on the answer alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from train.loop import Tensors
from train.pixels import pixel_values


class AnswerLoss:
    """Cross entropy of scripts given pictures, through the parts of a ``LlavaForConditionalGeneration``.

    It is what the model's own ``forward`` computes with labels masked to the answer, less the work on positions
    that carry no label: the head runs on the answer's tokens alone, and padding, always at the end, needs no
    attention mask under causal attention.
    """

    def __init__(self, model: Any, before: list[int], after: list[int], text_only: bool = False) -> None:
        """Take the model and the prompt's ids around the picture.

        Args:
            model: the LLaVA.
            before: ids before the picture.
            after: ids after it, up to where the answer starts.
            text_only: leave the picture out (language warm-up).
        """
        self.model, self.text_only = model, text_only
        self.before, self.after = torch.tensor(before), torch.tensor(after)

    def image_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the projected features (B, image tokens, width) of uint8 pictures (B, S, S).

        Several views (B, N, S, S) come one after the other, as LLaVA's processor sets several pictures.
        """
        if images.dim() == 4:
            return self.image_features(images.flatten(0, 1)).unflatten(0, images.shape[:2]).flatten(1, 2)
        features = self.model.model.get_image_features(
            pixel_values=pixel_values(images),
            vision_feature_layer=self.model.config.vision_feature_layer,
            vision_feature_select_strategy=self.model.config.vision_feature_select_strategy,
        ).pooler_output
        return torch.stack(list(features))

    def __call__(self, batch: Tensors) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean loss a token, and the share of tokens that are right."""
        model, images, ids, lengths = self.model, batch.images, batch.ids, batch.lengths
        embed = model.get_input_embeddings()
        rows = len(ids)
        parts = [embed(self.before.to(ids.device)).expand(rows, -1, -1)]
        if not self.text_only:
            features = self.image_features(images)
            parts = [part.to(features.dtype) for part in parts] + [features]
        parts.append(embed(self.after.to(ids.device)).expand(rows, -1, -1).to(parts[-1].dtype))
        prefix = sum(part.shape[1] for part in parts)
        parts.append(embed(ids[:, :-1]).to(parts[-1].dtype))
        hidden = model.model.language_model(inputs_embeds=torch.cat(parts, 1), use_cache=False).last_hidden_state
        # Position i of the answer is predicted one position before it.
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        logits = model.lm_head(hidden[:, prefix - 1 :][real])
        targets = ids[real]
        loss = F.cross_entropy(logits.float(), targets)
        right = (logits.detach().argmax(-1) == targets).float().mean()
        return loss, {"accuracy": float(right)}
