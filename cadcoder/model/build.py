"""Build a LLaVA from sizes, in transformers' own classes.

A CLIP vision tower, a two-layer MLP projector and a Llama decoder with tied embeddings, joined as LLaVA 1.5 does
(Liu et al., arXiv 2310.03744). What is saved loads with stock ``LlavaForConditionalGeneration`` and
``LlavaProcessor``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cadcoder.errors import ConfigError

#: Grey of a mid-tone picture to zero, black to -2 and white to +2: pictures here are mostly white.
PIXEL_MEAN, PIXEL_STD = 0.5, 0.25

#: Turns with one picture and a prompt, as ``processor.apply_chat_template`` reads them.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\\n' }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a LLaVA.

    Attributes:
        image: side of the square picture in pixels, a multiple of ``patch``.
        patch: side of a patch in pixels.
        vision_width: width of the vision tower.
        vision_layers: its layers.
        vision_heads: its attention heads.
        width: width of the decoder.
        layers: its layers.
        heads: its attention heads.
        kv_heads: its key-value heads (grouped-query attention below ``heads``).
        feed_forward: inner width of its gated MLP.
        positions: longest sequence, image tokens included.
        vision_layer: which hidden state of the tower the projector reads; -1 wastes no layer, LLaVA's is -2.
    """

    image: int = 160
    patch: int = 16
    vision_width: int = 256
    vision_layers: int = 5
    vision_heads: int = 4
    width: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 4
    feed_forward: int = 704
    positions: int = 1024
    vision_layer: int = -1

    @property
    def image_tokens(self) -> int:
        """Tokens a picture takes in the decoder."""
        return (self.image // self.patch) ** 2

    def faults(self) -> list[str]:
        """Return what is wrong with the sizes, one line a fault."""
        found = [f"{n} must be at least 1" for n in _COUNTS if getattr(self, n) < 1]
        if found:
            return found
        for size, part in (("image", "patch"), ("vision_width", "vision_heads"), ("width", "heads")):
            if getattr(self, size) % getattr(self, part):
                found.append(f"{size} ({getattr(self, size)}) must be a multiple of {part} ({getattr(self, part)})")
        if self.heads % self.kv_heads:
            found.append(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if not found and (self.width // self.heads) % 2:
            found.append(f"width / heads must be even for rotary positions, not {self.width // self.heads}")
        if not -self.vision_layers <= self.vision_layer <= -1:
            found.append(f"vision_layer must be from -{self.vision_layers} to -1, not {self.vision_layer}")
        if self.positions <= self.image_tokens:
            found.append(f"positions ({self.positions}) must exceed the {self.image_tokens} image tokens")
        return found


_COUNTS = (
    "image patch vision_width vision_layers vision_heads width layers heads kv_heads feed_forward positions".split()
)


def vision_config(sizes: Sizes) -> Any:
    """Return the ``CLIPVisionConfig`` of the sizes."""
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=sizes.vision_width,
        intermediate_size=4 * sizes.vision_width,
        num_hidden_layers=sizes.vision_layers,
        num_attention_heads=sizes.vision_heads,
        image_size=sizes.image,
        patch_size=sizes.patch,
        projection_dim=sizes.vision_width,
    )


def build_model(sizes: Sizes, tokenizer: Any) -> Any:
    """Return a ``LlavaForConditionalGeneration`` of the sizes with random weights in fp32.

    Args:
        sizes: the sizes.
        tokenizer: from :func:`cadcoder.model.tokenizer.train_tokenizer`; its length sets the vocabulary.

    Raises:
        ConfigError: if the sizes do not fit each other; every fault is named.
    """
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    faults = sizes.faults()
    if faults:
        raise ConfigError("model sizes: " + "; ".join(faults))
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id}
    special["eos_token_id"] = tokenizer.eos_token_id
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.width,
        intermediate_size=sizes.feed_forward,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        max_position_embeddings=sizes.positions,
        tie_word_embeddings=True,
        **special,
    )
    config = LlavaConfig(
        vision_config=vision_config(sizes),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=sizes.vision_layer,
        vision_feature_select_strategy="default",
        image_seq_length=sizes.image_tokens,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    for name, value in special.items():
        setattr(model.generation_config, name, value)
    return model


def build_processor(sizes: Sizes, tokenizer: Any) -> Any:
    """Return the ``LlavaProcessor`` of the sizes, on PIL (no torchvision)."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    images = CLIPImageProcessorPil(
        size={"shortest_edge": sizes.image},
        crop_size={"height": sizes.image, "width": sizes.image},
        image_mean=[PIXEL_MEAN] * 3,
        image_std=[PIXEL_STD] * 3,
    )
    kind: Any = LlavaProcessor
    return kind(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=sizes.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
