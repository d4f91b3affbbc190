"""Operations of a step, and the share of a device's peak that they are (MFU; Chowdhery et al., arXiv 2204.02311, B)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

#: Dense bf16 tensor-core peaks in TFLOP/s, from NVIDIA's data sheets, by a part of the device's name.
PEAKS = (
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100", 989.0),
    ("GH200", 989.0),
    ("B200", 2250.0),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("RTX 4090", 165.0),
    ("RTX 3090", 71.0),
    ("RTX 5090", 209.0),
    ("RTX 6000 Ada", 364.0),
    ("T4", 65.0),
    ("V100", 125.0),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Floating-point operations, forward and backward, without what checkpointing computes again.

    Attributes:
        token: of a token in the decoder, attention and head left out.
        pair: of a token for each token before it.
        answer: of an answer's token in the head.
        picture: of a picture in the tower and the projector.
    """

    token: float
    pair: float
    answer: float
    picture: float

    def of(self, tokens: int, squares: float, answers: int, pictures: int) -> float:
        """Return the operations of a batch; ``squares`` is the sum of the squared lengths."""
        return self.token * tokens + self.pair * squares / 2 + self.answer * answers + self.picture * pictures


def cost(config: Any, trained: list[str], adapters: int = 0) -> Cost:
    """Return what the samples of a stage cost.

    A product takes two operations a weight forward, two for the gradient of what comes in, and two for its own: the
    last only where it is trained, the second only where something before it is.

    Args:
        config: the ``LlavaConfig``.
        trained: parts that are trained.
        adapters: parameters of the adapters, where the language model is trained through them.
    """
    t, v = config.text_config, config.vision_config
    head = getattr(t, "head_dim", None) or t.hidden_size // t.num_attention_heads
    attention = 2 * t.hidden_size * head * (t.num_attention_heads + t.num_key_value_heads)
    layer = attention + 3 * t.hidden_size * t.intermediate_size
    passes = 6 if "text" in trained and not adapters else 4
    token = passes * t.num_hidden_layers * layer + 6 * adapters
    # Scores and their products with the values: each 2 operations a width, three times in all.
    pair = 3 * 4 * t.num_hidden_layers * t.num_attention_heads * head
    answer = passes * t.hidden_size * t.vocab_size
    patches = (v.image_size // v.patch_size) ** 2
    tower = v.num_hidden_layers * (4 * v.hidden_size**2 + 2 * v.hidden_size * v.intermediate_size) * patches
    tower += v.num_hidden_layers * 2 * v.hidden_size * patches**2
    projector = (v.hidden_size * t.hidden_size + t.hidden_size**2) * patches
    picture = (6 if "vision" in trained else 2) * tower + (6 if "projector" in trained else 4) * projector
    return Cost(float(token), float(pair), float(answer), float(picture))


def peak(device: torch.device) -> tuple[float, str]:
    """Return (operations a second that a device can do, where the figure is from)."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, teraflops in PEAKS:
            if part in name:
                return teraflops * 1e12, f"{name}, data sheet"
    return measured_peak(device), "a product of 4096-wide bf16 matrices" if device.type == "cuda" else "an fp32 product"


def measured_peak(device: torch.device) -> float:
    """Return the operations a second of one large product, the best of three."""
    size = 4096 if device.type == "cuda" else 512
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    a = torch.randn(size, size, device=device, dtype=kind)
    best = 0.0
    for _ in range(4):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(4):
            a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - begin))
    return best
