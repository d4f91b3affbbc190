"""LoRA and QLoRA through peft: which layers, and how adapters become part of the weights again."""

from __future__ import annotations

from typing import Any

from cadcoder.errors import MissingDependency
from train.llava.recipe import Lora

#: The linear layers of Llama- and Qwen2-type decoders, as full names in a LLaVA; the tower's are not among them.
TARGETS = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"


def four_bits(compute: Any) -> Any:
    """Return transformers' configuration of NF4 with double quantisation (Dettmers et al., arXiv 2305.14314).

    Raises:
        MissingDependency: without bitsandbytes.
    """
    import importlib.util

    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependency("lora.bits=4 needs bitsandbytes: pip install bitsandbytes (or take the LoRA recipe)")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def add_adapters(model: Any, lora: Lora) -> Any:
    """Put adapters into a LLaVA's language model; return the ``PeftModel`` around it.

    Raises:
        MissingDependency: without peft.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise MissingDependency("a recipe with lora needs peft: pip install 'cadcoder[train]'") from None
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=TARGETS)
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def lora_count(config: Any, lora: Lora) -> int:
    """Return the number of parameters that the adapters of a text configuration have."""
    width, inner = config.hidden_size, config.intermediate_size
    head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    q, kv = config.num_attention_heads * head, config.num_key_value_heads * head
    shapes = [(width, q), (width, kv), (width, kv), (q, width), (width, inner), (width, inner), (inner, width)]
    return int(config.num_hidden_layers * lora.rank * sum(a + b for a, b in shapes))
