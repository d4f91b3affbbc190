"""``--dry-run``: what a run would be, from configurations alone, on any machine and without weights."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cadcoder.errors import CadCoderError
from train.llava.adapters import lora_count
from train.llava.backbones import empty, plan
from train.llava.distribution import Asked, asked
from train.llava.flops import cost
from train.llava.recipe import LlavaRecipe, Stage
from train.llava.weights import PROJECTOR

GIB = 2**30
#: Ways to share a run out: name, ZeRO stage, whether the CPU's memory is used.
WAYS = (
    ("DDP", 0, False),
    ("ZeRO-2", 2, False),
    ("ZeRO-2, offload", 2, True),
    ("ZeRO-3", 3, False),
    ("ZeRO-3, offload", 3, True),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters of a model, whole and trained, by part.

    Attributes:
        parts: part to (parameters, trained).
        largest: parameters of the largest layer, which ZeRO-3 gathers whole.
        frozen_bytes: bytes a frozen parameter of the language model's layers takes.
        layers: parameters of those layers.
    """

    parts: dict[str, tuple[int, int]]
    largest: int
    frozen_bytes: float
    layers: int

    @property
    def whole(self) -> int:
        """All parameters."""
        return sum(n for n, _ in self.parts.values())

    @property
    def trained(self) -> int:
        """Those that are trained."""
        return sum(t for _, t in self.parts.values())


def count(recipe: LlavaRecipe, stage: str, config: Any) -> Counts:
    """Return the parameters of a stage, counted on a model without memory."""
    from train.llava.backbones import check_tied
    from train.llava.loss import choose_trained

    model = empty(config)
    check_tied(model)
    lora = recipe.lora if stage == "stage2" else None
    choose_trained(model, [p for p in recipe.stage(stage).train if lora is None or p != "text"], False)
    parts = {}
    named = {"vision": model.model.vision_tower, "projector": model.model.multi_modal_projector}
    named["text"] = model.model.language_model
    for name, module in named.items():
        sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
        parts[name] = (sum(n for n, _ in sizes), sum(n for n, on in sizes if on))
    if not config.tie_word_embeddings:
        head = model.lm_head.weight
        parts["head"] = (head.numel(), head.numel() if head.requires_grad else 0)
    if lora is not None:
        adapters = lora_count(config.text_config, lora)
        parts["adapters"] = (adapters, adapters)
    layers = [*model.model.language_model.layers, *([model.lm_head] if "head" in parts else [])]
    layers.append(model.get_input_embeddings())
    largest = max(sum(p.numel() for p in layer.parameters()) for layer in layers)
    # NF4 with double quantisation: 4.127 bits a weight (arXiv 2305.14314, section 3).
    bits = 4.127 / 8 if lora is not None and lora.bits == 4 else 2.0
    inner = sum(p.numel() for layer in model.model.language_model.layers for p in layer.parameters())
    return Counts(parts, largest, bits, inner)


def states(counts: Counts, zero: int, offload: bool, gpus: int) -> float:
    """Return the bytes on a GPU of weights, gradients and optimizer, without activations.

    A trained parameter takes 16 bytes under bf16 with Adam: weight and gradient of 2, and 12 of fp32 weight and two
    moments (Rajbhandari et al., arXiv 1910.02054, section 3.1); under plain DDP here fp32 weight, gradient and two
    moments, 16 as well. ZeRO-2 shares out gradients and optimizer, ZeRO-3 the weights too.
    """
    trained = counts.trained
    layers = counts.layers if not counts.parts["text"][1] else 0  # the frozen ones
    frozen = layers * counts.frozen_bytes + (counts.whole - trained - layers) * 2
    if zero == 0:
        return frozen + 16 * trained
    if zero == 2:
        return frozen + 2 * trained + (0 if offload else 14 * trained / gpus)
    # Offloaded, weights and optimizer live in the CPU's memory; what is computed with is gathered layer by layer.
    return 4 * counts.largest + (0 if offload else frozen / gpus + 16 * trained / gpus)


def activations(config: Any, stage: Stage, tokens: int, answers: int) -> float:
    """Return the bytes of activations of a micro-batch: an estimate, from what is kept for the backward pass.

    With checkpointing a layer's input is kept for every layer and one layer is computed again (34 times its input,
    Korthikanti et al., arXiv 2205.05198, section 4, without the scores, which fused attention does not keep); without,
    that is kept for every layer. The head keeps its logits in bf16 and fp32 and their gradient.
    """
    text = config.text_config
    at_once = stage.micro * tokens * text.hidden_size
    layers = text.num_hidden_layers
    body = at_once * (2 * layers + 34) if stage.checkpointing else at_once * 34 * layers
    tower = config.vision_config
    patches = (tower.image_size // tower.patch_size) ** 2
    seen = (
        stage.micro
        * patches
        * tower.hidden_size
        * (34 if "vision" not in stage.train else 34 * tower.num_hidden_layers)
    )
    return float(body + seen + stage.micro * answers * text.vocab_size * (2 + 4 + 4))


def deepspeed_says(counts: Counts, zero: int, offload: bool, gpus: int) -> float | None:
    """Return what DeepSpeed's own estimator gives for a GPU, which takes all parameters as trained; None without it."""
    if importlib.util.find_spec("deepspeed") is None or zero == 0:
        return None
    if zero == 2:
        from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as two

        return float(two(counts.whole, num_gpus_per_node=gpus, num_nodes=1, cpu_offload=offload)[1])
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as three

    found = three(
        counts.whole,
        counts.largest,
        num_gpus_per_node=gpus,
        num_nodes=1,
        cpu_offload=offload,
        cpu_offload_params=offload,
    )
    return float(found[1])


def report(recipe: LlavaRecipe, name: str, gpus: int | None = None) -> str:
    """Return the whole report of a stage, as text."""
    stage = recipe.stage(name)
    found = plan(recipe)
    config, missing = found.config, list(found.missing)
    counts = count(recipe, name, config)
    wanted = asked(recipe.distributed)
    world = gpus or wanted.processes or 1
    lines = [f"{recipe.name}, {name}: {'LLaVA' if recipe.start is None else recipe.start}", ""]
    lines.append(f"  {'part':<12}{'parameters':>16}{'trained':>16}")
    for part, (n, trained) in counts.parts.items():
        lines.append(f"  {part:<12}{n:>16,}{trained:>16,}")
    lines.append(f"  {'all':<12}{counts.whole:>16,}{counts.trained:>16,}")
    lines += ["", *_data_lines(recipe, name, config, world, missing)]
    tokens, answers = expected_lengths(stage, config)
    lines += ["", *_memory_lines(config, stage, counts, tokens, answers, world)]
    missing += _missing(recipe, name, wanted)
    lines += ["", "missing: nothing" if not missing else "missing:"]
    lines += [f"  - {m}" for m in missing]
    return "\n".join(lines)


def expected_lengths(stage: Stage, config: Any) -> tuple[int, int]:
    """Return (tokens of a sample, of its answer) as expected, at most the limit."""
    answer = stage.data.answer_tokens or 300
    limit = min(stage.data.max_tokens, int(config.text_config.max_position_embeddings))
    return min(limit, int(config.image_seq_length) + 40 + answer), answer


def _data_lines(recipe: LlavaRecipe, name: str, config: Any, world: int, missing: list[str]) -> list[str]:
    stage = recipe.stage(name)
    data = stage.data
    samples, source = data.samples, "the recipe's figure"
    if data.path and Path(data.path).exists():
        try:
            from train.llava.samples import Samples

            samples, source = len(Samples(data, f"{name}.data")), data.path
        except CadCoderError as error:
            missing.append(str(error))
    else:
        missing.append(f"{name}.data.path: there is no {data.path or 'path'} here")
    tokens, _ = expected_lengths(stage, config)
    lines = [f"  a picture: {config.image_seq_length} tokens; a sample: about {tokens:,}, at most {data.max_tokens:,}"]
    part = stage.micro * world
    if stage.batch % part:
        missing.append(f"{name}.batch: {stage.batch} is no multiple of {name}.micro ({stage.micro}) x {world} GPU(s)")
    lines.append(
        f"  a step: {stage.batch} samples = {world} GPU(s) x {stage.micro} at a time x {max(1, stage.batch // part)} "
        "accumulated"
    )
    if samples is None:
        return [*lines, f"  steps: unknown without the samples; set {name}.data.samples"]
    train = max(1, samples - min(data.held_out, samples // 4))
    steps = stage.steps or max(1, round(stage.epochs * max(1, train // stage.batch)))
    whole = steps * stage.batch
    lora = lora_count(config.text_config, recipe.lora) if recipe.lora and name == "stage2" else 0
    price = cost(config, stage.train, lora)
    operations = whole * price.of(tokens, tokens**2, data.answer_tokens or 300, 1)
    hours = operations / (0.4 * 989e12 * world) / 3600
    return [
        *lines,
        f"  samples: {samples:,} ({source}), {data.held_out} held out; {steps:,} steps, {whole:,} samples seen, about "
        f"{whole * tokens / 1e6:,.0f} M tokens",
        f"  operations: {operations:.2e}; at 40 % of {world} x 989 TFLOP/s (H100, bf16) {hours:.1f} hours",
    ]


def _memory_lines(config: Any, stage: Stage, counts: Counts, tokens: int, answers: int, world: int) -> list[str]:
    active = activations(config, stage, tokens, answers)
    lines = [
        f"  memory a GPU in GiB, {world} GPU(s); activations about {active / GIB:.1f} ({stage.micro} samples of "
        f"{tokens:,} tokens{', computed again' if stage.checkpointing else ''})",
        f"  {'':<18}{'states':>10}{'with activations':>18}{'DeepSpeed says*':>18}",
    ]
    for title, zero, offload in WAYS:
        if zero == 3 and counts.frozen_bytes < 2:
            lines.append(f"  {title:<18}{'4 bits cannot be partitioned by ZeRO-3':>46}")
            continue
        own = states(counts, zero, offload, world)
        says = deepspeed_says(counts, zero, offload, world)
        said = f"{says / GIB:18.1f}" if says is not None else f"{'-':>18}"
        lines.append(f"  {title:<18}{own / GIB:10.1f}{(own + active) / GIB:18.1f}{said}")
    return [
        *lines,
        "  * its estimators count every parameter as trained, in fp32 or fp16 with Adam, without activations",
    ]


def _missing(recipe: LlavaRecipe, name: str, wanted: Asked) -> list[str]:
    """Return what this machine lacks for the run, a line each."""
    lines = []
    needs = ["accelerate", "datasets", "tensorboard", *recipe.report]
    if wanted.zero:
        needs.append("deepspeed")
    if recipe.text.gguf:
        needs.append("gguf")
    if recipe.lora is not None:
        needs += ["peft"] + (["bitsandbytes"] if recipe.lora.bits == 4 else [])
    lines += [f"package {n}: pip install {n}" for n in needs if importlib.util.find_spec(n) is None]
    if not Path(recipe.prompt).is_file():
        lines.append(f"prompt: there is no {recipe.prompt}")
    projector = Path(recipe.projector or Path(recipe.out) / "stage1" / PROJECTOR)
    if name == "stage2" and recipe.start is None and not projector.exists():
        lines.append(f"the projector of stage 1: {projector} (made by train.pretrain)")
    return lines
