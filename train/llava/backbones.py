"""LLaVA from parts: any CLIP or SigLIP tower and any Llama- or Qwen2-type causal language model, or a LLaVA as it is.

Weights come from safetensors folders, GGUF files or Hugging Face ids; what is saved loads with stock
``LlavaForConditionalGeneration`` and ``LlavaProcessor``. :func:`plan` needs no weights: sizes come from ``config.json``
where it is there, else from the recipe.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from train.llava.recipe import LlavaRecipe, Text, Vision
from train.llava.templates import TEMPLATES

#: The token that stands for a picture's features.
IMAGE = "<image>"
#: Vocabularies that have to grow do so to a multiple of this, which tensor cores like.
MULTIPLE = 64
#: Means and deviations of pixels where a tower's folder does not say: OpenAI's CLIP, and SigLIP.
_CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
_SIGLIP = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])


@dataclass
class Plan:
    """What a recipe joins, from configurations alone.

    Attributes:
        config: the ``LlavaConfig``, before the vocabulary grows.
        missing: what is not on this machine, a line each.
    """

    config: Any
    missing: list[str]


def is_local(path: str) -> bool:
    """Whether a path is a folder here."""
    return Path(path).is_dir()


def config_of(part: Vision | Text, name: str, missing: list[str]) -> Any:
    """Return the transformers configuration of a part, from its folder, the Hub's cache or the recipe.

    Raises:
        ConfigError: if none of them has it.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    more = {"gguf_file": part.gguf} if isinstance(part, Text) and part.gguf else {}
    if is_local(part.path):
        if more and not (Path(part.path) / str(part.gguf)).is_file():
            raise ConfigError(f"{name}.gguf: there is no file {part.gguf} in {part.path}")
        try:
            return AutoConfig.from_pretrained(part.path, **more)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{name}.path: {part.path} cannot be read: {_line(error)}") from None
    try:
        return AutoConfig.from_pretrained(part.path, local_files_only=True, **more)
    except (OSError, ValueError):
        missing.append(f"{name}: {part.path} is no folder here and not in the Hugging Face cache")
    if part.config is None:
        raise ConfigError(
            f"{name}.path: {part.path} is no folder here and not in the Hugging Face cache; give {name}.path=FOLDER, "
            f"or its sizes as {name}.config for --dry-run"
        )
    sizes = dict(part.config)
    kind = str(sizes.pop("model_type", "llama" if name == "text" else "clip_vision_model"))
    if kind not in CONFIG_MAPPING:
        raise ConfigError(f"{name}.config.model_type: transformers knows no {kind!r}")
    return CONFIG_MAPPING[kind](**sizes)


def _tower(config: Any) -> Any:
    """Return the configuration of the tower alone, of a tower or of a model that has one."""
    inner = getattr(config, "vision_config", config)
    if inner.model_type not in ("clip_vision_model", "siglip_vision_model"):
        raise ConfigError(f"vision.path: a {inner.model_type} is no CLIP or SigLIP tower")
    return inner


def plan(recipe: LlavaRecipe) -> Plan:
    """Return what a recipe joins, without its weights.

    Raises:
        ConfigError: if a part is unknown or does not fit.
    """
    from transformers import LlavaConfig

    missing: list[str] = []
    if recipe.start is not None:
        return Plan(_start_config(recipe.start), missing)
    tower = _tower(config_of(recipe.vision, "vision", missing))
    text = config_of(recipe.text, "text", missing)
    if text.model_type not in ("llama", "qwen2", "mistral", "qwen3", "gemma", "gemma2", "smollm3", "phi3", "olmo2"):
        raise ConfigError(f"text.path: a {text.model_type} is no causal language model that LLaVA takes")
    if -recipe.vision.layer > tower.num_hidden_layers:
        raise ConfigError(f"vision.layer: the tower has {tower.num_hidden_layers} layers only")
    clip = tower.model_type == "clip_vision_model"
    select = recipe.vision.select or ("default" if clip else "full")
    config = LlavaConfig(
        vision_config=tower,
        text_config=text,
        # Set anew when the tokenizer is known.
        image_token_index=text.vocab_size - 1,
        vision_feature_layer=recipe.vision.layer,
        vision_feature_select_strategy=select,
        image_seq_length=(tower.image_size // tower.patch_size) ** 2 + (1 if clip and select == "full" else 0),
        tie_word_embeddings=bool(text.tie_word_embeddings),
    )
    return Plan(config, missing)


def _start_config(start: str) -> Any:
    from transformers import LlavaConfig

    try:
        kind = json.loads((Path(start) / "config.json").read_text()).get("model_type")
        if kind == "llava":
            return LlavaConfig.from_pretrained(start)
    except (OSError, ValueError) as error:
        raise ConfigError(f"start: {start} is no checkpoint: {_line(error)}") from None
    raise ConfigError(f"start: {start} is a {kind}, not a LLaVA")


def empty(config: Any) -> Any:
    """Return a ``LlavaForConditionalGeneration`` without memory for its weights (the meta device)."""
    import torch
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        return LlavaForConditionalGeneration(config)


def load_tokenizer(part: Text) -> Any:
    """Return a part's tokenizer with an image token and a padding token.

    Raises:
        ConfigError: if it cannot be read, or lacks what the template needs.
    """
    from transformers import AutoTokenizer

    more = {"gguf_file": part.gguf} if part.gguf else {}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(part.path, extra_special_tokens={"image_token": IMAGE}, **more)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"text.path: the tokenizer of {part.path} cannot be read: {_line(error)}") from None
    if part.template == "chatml":
        _end_at(tokenizer, "<|im_end|>")
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"text.path: the tokenizer of {part.path} has no token that ends a text")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # The end must not be the padding: who masks paddings would mask the end.
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id != tokenizer.eos_token_id:
            tokenizer.pad_token = tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.padding_side = "left"
    return tokenizer


def _end_at(tokenizer: Any, token: str) -> None:
    if token not in tokenizer.get_vocab():
        raise ConfigError(f"text.template: chatml needs the token {token}, which this tokenizer lacks; take plain")
    tokenizer.eos_token = token


def build(recipe: LlavaRecipe, dtype: Any) -> tuple[Any, Any]:
    """Return (model, processor) of a recipe, joined or as ``start`` has them.

    The projector of a joined model is new, from the recipe's seed.

    Args:
        recipe: what is joined.
        dtype: of the weights.

    Raises:
        ConfigError: if a part is missing or does not fit.
    """
    import torch
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    attention = {"attn_implementation": recipe.attention}
    if recipe.start is not None:
        _start_config(recipe.start)
        model = LlavaForConditionalGeneration.from_pretrained(recipe.start, dtype=dtype, **attention)
        return model, LlavaProcessor.from_pretrained(recipe.start)
    config = plan(recipe).config
    tokenizer = load_tokenizer(recipe.text)
    tower, pixels = load_tower(recipe.vision, dtype, recipe.attention)
    quantised = recipe.lora is not None and recipe.lora.bits == 4
    language = load_language(recipe.text, dtype, recipe.attention, quantised)
    _grow(language, tokenizer)
    config.text_config = language.config
    config.image_token_index = tokenizer.convert_tokens_to_ids(IMAGE)
    torch.manual_seed(recipe.seed)
    model = empty(config)
    model.model.vision_tower, model.model.language_model = tower, language.model
    model.lm_head = language.lm_head
    projector = type(model.model.multi_modal_projector)(config).to(dtype)
    for linear in (projector.linear_1, projector.linear_2):
        torch.nn.init.normal_(linear.weight, std=1 / linear.weight.shape[1] ** 0.5)
        torch.nn.init.zeros_(linear.bias)
    model.model.multi_modal_projector = projector
    model.generation_config = language.generation_config
    ends = model.generation_config.eos_token_id
    known = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    model.generation_config.eos_token_id = list(dict.fromkeys([tokenizer.eos_token_id, *known]))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    left = [n for n, p in model.named_parameters() if p.is_meta]
    if left:
        raise ConfigError(f"these weights were left empty: {', '.join(left[:3])}; the parts do not fit")
    check_tied(model)
    return model, make_processor(config, tokenizer, pixels, recipe.text.template)


def load_tower(part: Vision, dtype: Any, attention: str) -> tuple[Any, tuple[list[float], list[float]]]:
    """Return (tower, (mean, deviation) of its pixels).

    Raises:
        ConfigError: if it cannot be loaded.
    """
    from transformers import AutoConfig, CLIPVisionModel, LlavaForConditionalGeneration, SiglipVisionModel

    try:
        whole = AutoConfig.from_pretrained(part.path)
        inner = _tower(whole)
        clip = inner.model_type == "clip_vision_model"
        if whole.model_type == "llava":
            tower = LlavaForConditionalGeneration.from_pretrained(part.path, dtype=dtype).model.vision_tower
            tower.set_attn_implementation(attention)
        else:
            kind: Any = CLIPVisionModel if clip else SiglipVisionModel
            tower = kind.from_pretrained(part.path, dtype=dtype, attn_implementation=attention)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"vision.path: {part.path} cannot be loaded: {_line(error)}") from None
    return tower, _pixels(part.path) or (_CLIP if clip else _SIGLIP)


def _pixels(path: str) -> tuple[list[float], list[float]] | None:
    """Return the mean and deviation that a folder's processor has."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        file = Path(path) / name
        if file.is_file():
            tree = json.loads(file.read_text())
            tree = tree.get("image_processor", tree)
            if "image_mean" in tree:
                return list(tree["image_mean"]), list(tree["image_std"])
    return None


def load_language(part: Text, dtype: Any, attention: str, quantised: bool) -> Any:
    """Return the causal language model of a part.

    Raises:
        ConfigError: if it cannot be loaded.
        MissingDependency: if 4 bits are asked for without bitsandbytes.
    """
    import torch
    from transformers import AutoModelForCausalLM

    more: dict[str, Any] = {}
    if part.gguf:
        from transformers import GgufConfig

        more = {"gguf_file": part.gguf, "quantization_config": GgufConfig(dequantize=True)}
    if quantised:
        from train.llava.adapters import four_bits

        if part.gguf:
            raise ConfigError("lora.bits: 4 bits are made of safetensors; take text.path without text.gguf")
        more["quantization_config"] = four_bits(torch.bfloat16 if dtype == torch.bfloat16 else torch.float32)
    try:
        model = AutoModelForCausalLM.from_pretrained(part.path, dtype=dtype, attn_implementation=attention, **more)
    except ImportError as error:
        raise ConfigError(f"text.gguf: {_line(error)}") from None
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"text.path: {part.path} cannot be loaded: {_line(error)}") from None
    if part.gguf and getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config  # what is saved is not packed any more
    return model


def _grow(language: Any, tokenizer: Any) -> None:
    """Make room for the new tokens where the vocabulary has none to spare; new rows start at the mean of the old."""
    rows = language.get_input_embeddings().weight.shape[0]
    if len(tokenizer) <= rows:
        return
    # transformers' own mean_resizing draws from their covariance, which takes minutes.
    language.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=MULTIPLE, mean_resizing=False)
    for layer in (language.get_input_embeddings(), language.get_output_embeddings()):
        weight = layer.weight.data
        weight[rows:] = weight[:rows].float().mean(dim=0).to(weight.dtype)


def check_tied(model: Any) -> None:
    """Make the output layer the input embedding where the language model ties them.

    Raises:
        ConfigError: if they are tied where they must not be.
    """
    head, embedding = model.lm_head, model.get_input_embeddings()
    tied = bool(model.config.text_config.tie_word_embeddings)
    model.config.tie_word_embeddings = tied
    if tied:
        head.weight = embedding.weight
    elif head.weight is embedding.weight:
        raise ConfigError("text.path: the output layer is tied to the embedding, against the model's configuration")


def make_processor(config: Any, tokenizer: Any, pixels: tuple[list[float], list[float]], template: str) -> Any:
    """Return the ``LlavaProcessor`` that goes with a model, on PIL (no torchvision)."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tower = config.vision_config
    size = tower.image_size
    images = CLIPImageProcessorPil(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=pixels[0],
        image_std=pixels[1],
    )
    kind: Any = LlavaProcessor
    return kind(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=tower.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1 if tower.model_type == "clip_vision_model" else 0,
        chat_template=TEMPLATES[template],
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
