"""Recipes of LLaVA runs: what is joined, what each stage trains and on what (``train/configs/*.yaml``)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from train.tree import build, override, read_yaml

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
#: Parts of a LLaVA that a stage may train.
PARTS = ("vision", "projector", "text")
#: Trackers besides TensorBoard, which is always written.
TRACKERS = ("trackio", "wandb")


@dataclass(frozen=True, slots=True)
class Vision:
    """The vision tower.

    Attributes:
        path: folder or Hugging Face id of a CLIP or SigLIP model, or of a LLaVA whose tower is taken.
        config: the published ``config.json`` of the tower, for ``--dry-run`` on a machine without it.
        layer: hidden state that the projector reads (LLaVA: -2, the last but one).
        select: ``default`` drops the class token, ``full`` has none to drop; None goes by the tower's type.
    """

    path: str = ""
    config: dict[str, Any] | None = None
    layer: int = -2
    select: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The language model.

    Attributes:
        path: folder or Hugging Face id of a causal language model.
        gguf: name of a GGUF file in that folder, in place of safetensors.
        config: the published ``config.json``, for ``--dry-run`` on a machine without it.
        template: turns as text: ``vicuna``, ``chatml`` or ``plain`` (see :mod:`train.llava.templates`).
    """

    path: str = ""
    gguf: str | None = None
    config: dict[str, Any] | None = None
    template: str = "chatml"


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on the linear layers of the language model (Hu et al., arXiv 2106.09685), through peft.

    Attributes:
        rank: of the adapters.
        alpha: their scale, divided by the rank.
        dropout: on their input.
        bits: 16, or 4 for QLoRA (Dettmers et al., arXiv 2305.14314): the frozen weights in NF4 by bitsandbytes.
    """

    rank: int = 128
    alpha: int = 256
    dropout: float = 0.05
    bits: int = 16


@dataclass(frozen=True, slots=True)
class Data:
    """The samples of a stage.

    Attributes:
        path: folder of Parquet shards (ours, or GenCAD-Code as published), a Parquet file, or a LLaVA JSON file.
        images: folder of the pictures of a LLaVA JSON.
        answer: column that is learnt; None takes ``code`` or ``cadquery``.
        held_out: samples kept out of training, for the held-out loss.
        max_tokens: samples with more tokens, image tokens included, are counted and dropped.
        crop: frame pictures to their content; false pads them to a square as LLaVA does.
        margin: free space around the content, as a share of the square.
        grey: drop the colours.
        augment: family of pictures to what is done to them (:mod:`train.llava.augment`).
        samples: how many there are, for ``--dry-run`` without the data.
        answer_tokens: mean tokens of an answer, likewise.
    """

    path: str = ""
    images: str | None = None
    answer: str | None = None
    held_out: int = 256
    max_tokens: int = 4096
    crop: bool = False
    margin: float = 0.0
    grey: bool = False
    augment: dict[str, Any] | None = None
    samples: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        data: its samples.
        train: parts that are trained: ``vision``, ``projector``, ``text``.
        epochs: passes over the samples.
        steps: optimiser steps, in place of ``epochs``.
        batch: samples an optimiser step, over all processes.
        micro: samples a process computes at a time; the rest of the batch is accumulated.
        lr: peak learning rate.
        projector_lr: of the projector, where it differs.
        warmup: share of the steps over which the rate rises.
        schedule: ``cosine`` or ``constant`` after the warm-up.
        weight_decay: of matrices.
        clip: largest gradient norm.
        checkpointing: compute activations again in the backward pass, to save memory.
    """

    data: Data = field(default_factory=Data)
    train: list[str] = field(default_factory=lambda: ["projector"])
    epochs: float = 1.0
    steps: int | None = None
    batch: int = 128
    micro: int = 8
    lr: float = 2e-5
    projector_lr: float | None = None
    warmup: float = 0.03
    schedule: str = "cosine"
    weight_decay: float = 0.0
    clip: float = 1.0
    checkpointing: bool = True


@dataclass(frozen=True, slots=True)
class Distributed:
    """What must be in force; None takes what the launcher was asked for.

    Attributes:
        processes: in all, over all machines.
        zero: stage of DeepSpeed's ZeRO; 0 is no DeepSpeed.
        offload: whether ZeRO keeps the optimizer (and at stage 3 the weights) in the CPU's memory.
    """

    processes: int | None = None
    zero: int | None = None
    offload: bool | None = None


@dataclass(frozen=True, slots=True)
class LlavaRecipe:
    """A whole two-stage run.

    Attributes:
        name: of the recipe.
        out: folder of the run.
        prompt: file with the text after the picture.
        seed: of the order, the projector and the augmentation.
        precision: ``bf16`` or ``fp32``.
        attention: transformers' name of the attention: ``sdpa``, ``eager``, ``flash_attention_2``.
        start: a LLaVA checkpoint to go on from, in place of ``vision`` and ``text``.
        vision, text: what is joined.
        projector: a projector of another run's stage 1 to start stage 2 from; None takes this run's.
        lora: adapters in stage 2, in place of training the language model itself.
        stage1, stage2: the stages; stage 1 is left out where ``start`` is given.
        save_steps: optimiser steps between checkpoints; they hold everything needed to go on exactly.
        keep: checkpoints kept.
        eval_steps: optimiser steps between evaluations.
        eval_scripts: held-out samples whose scripts are written, run and measured at each; 0 for none.
        eval_tokens: longest script written then.
        log_steps: optimiser steps between lines.
        workers: processes a rank that read samples.
        report: further trackers: ``trackio``, ``wandb``.
        distributed: what must be in force.
    """

    name: str = ""
    out: str = ""
    prompt: str = "prompts/cad_coder.txt"
    seed: int = 0
    precision: str = "bf16"
    attention: str = "sdpa"
    start: str | None = None
    vision: Vision = field(default_factory=Vision)
    text: Text = field(default_factory=Text)
    projector: str | None = None
    lora: Lora | None = None
    stage1: Stage = field(default_factory=Stage)
    stage2: Stage = field(default_factory=lambda: Stage(train=["projector", "text"]))
    save_steps: int = 200
    keep: int = 2
    eval_steps: int = 200
    eval_scripts: int = 0
    eval_tokens: int = 512
    log_steps: int = 5
    workers: int = 2
    report: list[str] = field(default_factory=list)
    distributed: Distributed = field(default_factory=Distributed)

    def stage(self, name: str) -> Stage:
        """Return a stage by name."""
        found: Stage = getattr(self, name)
        return found


def find_recipe(name: str) -> Path:
    """Return the file of a recipe given by path, or by name (``cad-coder-13b``).

    Raises:
        ConfigError: if there is none.
    """
    for path in (Path(name), CONFIGS / f"{name}.yaml"):
        if path.is_file():
            return path
    known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.yaml") if is_llava(read_yaml(p))))
    raise ConfigError(f"there is no recipe {name}; give a YAML file or one of {known}")


def is_llava(tree: dict[str, Any]) -> bool:
    """Whether a recipe is one of these, and not one of :mod:`train.config`."""
    return any(key in tree for key in ("base", "text", "start")) and "tokenizer" not in tree


def load(name: str, overrides: list[str] | None = None) -> LlavaRecipe:
    """Read a recipe, with what its ``base`` says first.

    Args:
        name: a path, or a name below ``train/configs``.
        overrides: ``key=value`` with dotted keys; values are YAML.

    Raises:
        ConfigError: naming every fault with its key.
    """
    path = find_recipe(name)
    tree, faults = _with_base(path, []), list[str]()
    if not is_llava(tree):
        raise ConfigError(f"{path} is a recipe of train.run: python -m train.run --config {path}")
    for item in overrides or []:
        override(tree, item, faults)
    tree.setdefault("name", path.stem)
    tree.setdefault("out", f"runs/{path.stem}")
    recipe: LlavaRecipe = build(LlavaRecipe, tree, "", faults)
    faults += _check(recipe)
    if faults:
        raise ConfigError(f"the recipe {path} has {len(faults)} fault(s): " + "; ".join(faults))
    return recipe


def as_tree(recipe: LlavaRecipe) -> dict[str, Any]:
    """Return the resolved recipe as plain data."""
    return dataclasses.asdict(recipe)


def _with_base(path: Path, seen: list[Path]) -> dict[str, Any]:
    """Return a recipe's mapping laid over its base's."""
    tree = read_yaml(path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    if path in seen:
        raise ConfigError(f"base: {path} is a base of itself")
    beside = path.parent / f"{base}.yaml"
    return _merged(_with_base(beside if beside.is_file() else find_recipe(str(base)), [*seen, path]), tree)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        old = result.get(key)
        # The sizes of a model are one thing: those of another model never mix with them.
        mixes = isinstance(old, dict) and isinstance(value, dict) and key != "config"
        result[key] = _merged(old, value) if isinstance(old, dict) and mixes else value
    return result


def _check(recipe: LlavaRecipe) -> list[str]:
    faults = []
    if recipe.start is None:
        for name, part in (("vision", recipe.vision), ("text", recipe.text)):
            if not part.path and not any(f.startswith(f"{name}.path") for f in faults):
                faults.append(f"{name}.path: missing; give a folder or a Hugging Face id (or start=FOLDER)")
    if recipe.precision not in ("bf16", "fp32"):
        faults.append(f"precision: must be bf16 or fp32, not {recipe.precision!r}")
    if recipe.vision.select not in (None, "default", "full"):
        faults.append(f"vision.select: must be default or full, not {recipe.vision.select!r}")
    if recipe.vision.layer >= 0:
        faults.append(f"vision.layer: counts from the end and must be negative, not {recipe.vision.layer}")
    from train.llava.templates import TEMPLATES

    if recipe.text.template not in TEMPLATES:
        faults.append(f"text.template: must be one of {', '.join(TEMPLATES)}, not {recipe.text.template!r}")
    for key, least in (("save_steps", 1), ("keep", 1), ("eval_steps", 1), ("log_steps", 1), ("eval_scripts", 0)):
        if getattr(recipe, key) < least:
            faults.append(f"{key}: must be at least {least}, not {getattr(recipe, key)}")
    if recipe.workers < 0:
        faults.append(f"workers: must not be negative, not {recipe.workers}")
    faults += [f"report: must be of {', '.join(TRACKERS)}, not {r!r}" for r in recipe.report if r not in TRACKERS]
    if recipe.lora is not None:
        if recipe.lora.bits not in (4, 16):
            faults.append(f"lora.bits: must be 4 or 16, not {recipe.lora.bits}")
        if recipe.lora.rank < 1:
            faults.append(f"lora.rank: must be at least 1, not {recipe.lora.rank}")
        if "text" not in recipe.stage2.train:
            faults.append("lora: stage2.train must name text, which the adapters are on")
    zero = recipe.distributed.zero
    if zero is not None and zero not in (0, 1, 2, 3):
        faults.append(f"distributed.zero: must be 0 to 3, not {zero}")
    for name in ("stage1", "stage2"):
        faults += _check_stage(name, recipe.stage(name))
    return faults


def _check_stage(name: str, stage: Stage) -> list[str]:
    from train.llava.augment import OPERATIONS

    faults = []
    for part in stage.train:
        if part not in PARTS:
            faults.append(f"{name}.train: must be of {', '.join(PARTS)}, not {part!r}")
    if not stage.train:
        faults.append(f"{name}.train: names no part")
    if stage.schedule not in ("cosine", "constant"):
        faults.append(f"{name}.schedule: must be cosine or constant, not {stage.schedule!r}")
    for key in ("batch", "micro"):
        if getattr(stage, key) < 1:
            faults.append(f"{name}.{key}: must be at least 1, not {getattr(stage, key)}")
    if stage.micro >= 1 and stage.batch % stage.micro:
        faults.append(f"{name}.batch: {stage.batch} must be a multiple of {name}.micro ({stage.micro})")
    for key in ("lr", "projector_lr", "clip", "epochs"):
        value = getattr(stage, key)
        if value is not None and value <= 0:
            faults.append(f"{name}.{key}: must be above 0, not {value}")
    if not 0 <= stage.warmup < 1:
        faults.append(f"{name}.warmup: must be a share from 0 to below 1, not {stage.warmup}")
    if stage.steps is not None and stage.steps < 1:
        faults.append(f"{name}.steps: must be at least 1, not {stage.steps}")
    if not 0 <= stage.data.margin < 0.4:
        faults.append(f"{name}.data.margin: must be from 0 to 0.4, not {stage.data.margin}")
    if stage.data.held_out < 1:
        faults.append(f"{name}.data.held_out: must be at least 1, not {stage.data.held_out}")
    if stage.data.max_tokens < 16:
        faults.append(f"{name}.data.max_tokens: must be at least 16, not {stage.data.max_tokens}")
    for family, what in (stage.data.augment or {}).items():
        unknown = set(what) - set(OPERATIONS) if isinstance(what, dict) else {str(what)}
        faults += [
            f"{name}.data.augment.{family}: {u} is unknown; known are {', '.join(OPERATIONS)}" for u in sorted(unknown)
        ]
    return faults
