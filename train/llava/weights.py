"""Trained weights out of a run: gathered from their ranks, adapters merged, in files that stock transformers reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from cadcoder.errors import ConfigError
from train.llava.recipe import LlavaRecipe
from train.llava.state import unwrapped, zero_of

#: What a stage leaves of the projector, for the next one.
PROJECTOR = "projector.safetensors"


def gathered(engine: Any, only: str | None = None) -> dict[str, torch.Tensor]:
    """Return the weights of the LLaVA inside on the CPU, whole, on rank 0 (empty elsewhere).

    At ZeRO stage 3 every rank must call, and a parameter is gathered at a time, so that no device holds them all.

    Args:
        engine: the prepared model.
        only: part of the names that are wanted.
    """
    module = unwrapped(engine)
    first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
    found: dict[str, torch.Tensor] = {}
    deep = zero_of(engine) == 3
    named = [*module.named_parameters(), *module.named_buffers()]
    kept = set(module.state_dict().keys()) if not deep else None
    for name, p in named:
        plain = name.removeprefix("llava.")
        if (only is not None and only not in plain) or (kept is not None and name not in kept):
            continue
        if deep and hasattr(p, "ds_id"):
            import deepspeed

            with deepspeed.zero.GatheredParameters([p]):
                if first:
                    found[plain] = p.detach().cpu().clone()
        elif first:
            found[plain] = p.detach().cpu().clone()
    return found


def save_projector(engine: Any, folder: Path, first: bool) -> None:
    """Write ``projector.safetensors`` in fp32 or bf16 as it is trained; all ranks call."""
    from safetensors.torch import save_file

    state = gathered(engine, "multi_modal_projector")
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        plain = {k.split("multi_modal_projector.")[1]: v.contiguous() for k, v in state.items()}
        partial = folder / f"{PROJECTOR}.partial"
        save_file(plain, partial)
        os.replace(partial, folder / PROJECTOR)


def load_projector(model: Any, file: Path) -> None:
    """Load what :func:`save_projector` wrote into a LLaVA.

    Raises:
        ConfigError: if it is another model's.
    """
    from safetensors.torch import load_file

    projector = model.model.multi_modal_projector
    state = load_file(file)
    own = projector.state_dict()
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in own.items()}:
        raise ConfigError(f"{file} is the projector of another model; choose another out= or run stage 1 again")
    projector.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})


def merged(state: dict[str, torch.Tensor], scale: float, base: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights with their adapters added: W + scale B A (Hu et al., arXiv 2106.09685, section 4.1).

    Args:
        state: weights by name, with ``base_layer`` and ``lora_A``/``lora_B`` where there are adapters.
        scale: alpha divided by the rank.
        base: weights to take in place of quantised ones, by their plain name.
    """
    found = {}
    for name, value in state.items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        if plain in base:
            value = base[plain]
        elif not value.is_floating_point() or ".absmax" in name or ".quant" in name or "nested_" in name:
            continue
        stem = plain.removesuffix(".weight")
        down, up = state.get(f"{stem}.lora_A.default.weight"), state.get(f"{stem}.lora_B.default.weight")
        if down is not None and up is not None and plain.endswith(".weight"):
            value = (value.float() + scale * (up.float() @ down.float())).to(value.dtype)
        found[plain] = value
    return found


def save_model(engine: Any, recipe: LlavaRecipe, processor: Any, folder: Path, first: bool) -> None:
    """Write a checkpoint folder that ``LlavaForConditionalGeneration.from_pretrained`` loads; all ranks call.

    With adapters, these are written to ``folder/adapter`` besides, and the weights are merged.
    """
    state = gathered(engine)
    if not first:
        return
    module = unwrapped(engine).llava
    if recipe.lora is not None and any(".lora_" in n for n in state):
        base: dict[str, torch.Tensor] = {}
        if recipe.lora.bits == 4:
            base = _whole_language(recipe)
        _save_adapter(state, recipe, folder.with_name(folder.name + ".adapter"))
        state = merged(state, recipe.lora.alpha / recipe.lora.rank, base)
    kind = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    state = {k: v.to(kind) if v.is_floating_point() else v for k, v in state.items()}
    if module.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    config = module.config
    config.dtype = kind
    saver = _plain(module)
    saver.save_pretrained(partial, state_dict=state)
    processor.save_pretrained(partial)
    adapter = folder.with_name(folder.name + ".adapter")
    if adapter.exists():
        os.replace(adapter, partial / "adapter")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def _plain(module: Any) -> Any:
    """Return a LLaVA without memory, whose ``save_pretrained`` writes a given state as stock files have it."""
    import copy

    from train.llava.backbones import check_tied, empty

    config = copy.deepcopy(module.config)
    for part in (config, config.text_config):
        if getattr(part, "quantization_config", None) is not None:
            del part.quantization_config
    shell = empty(config)
    check_tied(shell)
    shell.generation_config = module.generation_config
    return shell


def _whole_language(recipe: LlavaRecipe) -> dict[str, torch.Tensor]:
    """Return the language model's weights in bf16, by the names that they have in a LLaVA."""
    from train.llava.backbones import load_language

    model = load_language(recipe.text, torch.bfloat16, "eager", False)
    found = {
        k.replace("model.", "model.language_model.", 1): v for k, v in model.model.state_dict(prefix="model.").items()
    }
    return found


def _save_adapter(state: dict[str, torch.Tensor], recipe: LlavaRecipe, folder: Path) -> None:
    """Write the adapters as peft does, for ``PeftModel.from_pretrained``."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    from train.llava.adapters import TARGETS

    lora = recipe.lora
    assert lora is not None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = {f"base_model.model.{k.replace('.default', '')}": v.contiguous() for k, v in state.items() if ".lora_" in k}
    save_file(names, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=TARGETS).save_pretrained(
        folder
    )
