"""Recipes: YAML files read into typed dataclasses, with dotted overrides; all faults are reported at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from cadcoder.model.build import Sizes
from train.depths import CELL
from train.tree import build, override, read_yaml


@dataclass(frozen=True, slots=True)
class Data:
    """What is trained on.

    Attributes:
        shards: folder with Parquet shards (``data/*.parquet`` or ``*.parquet`` below it); more may arrive during
            the run and are taken up at the next pass.
        cache: folder for framed pictures and token ids; None puts it beside the shards.
        held_out: samples of the first shards kept for the held-out loss, never trained on.
        max_tokens: scripts with more tokens are dropped, and counted.
        crop: frame pictures to their content.
        margin: free space around the content, as a share of the square.
        shift: largest random shift of a training picture, in pixels.
    """

    shards: str = "data/synthetic"
    cache: str | None = None
    held_out: int = 512
    max_tokens: int = 320
    crop: bool = True
    margin: float = 0.04
    shift: int = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokenizer: size of its vocabulary, and the number of scripts that it is trained on."""

    vocab_size: int = 1536
    scripts: int = 20000


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training; its length is ``minutes`` or ``samples`` (neither: it is left out).

    Attributes:
        minutes: length by the clock; time spent before an interruption counts.
        samples: length in samples seen; used where ``minutes`` is None.
        batch: samples an optimiser step.
        lr: peak learning rate.
        warmup: samples over which the rate rises.
        decay: share at the end over which it falls to zero: linearly (schedule wsd).
        schedule: ``wsd`` (warm up, stay, decay) or ``cosine``.
        optimizer: ``adamw`` or ``muon`` (Muon for the inner matrices, AdamW for the rest).
        weight_decay: for matrices; vectors and embeddings have none.
        clip: largest gradient norm.
    """

    minutes: float | None = None
    samples: int | None = None
    batch: int = 64
    lr: float = 1e-3
    warmup: int = 3000
    decay: float = 0.3
    schedule: str = "wsd"
    optimizer: str = "adamw"
    weight_decay: float = 0.05
    clip: float = 1.0

    @property
    def is_off(self) -> bool:
        """Whether the stage is left out."""
        return not self.minutes and not self.samples


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures drawn while training, where the samples are meshes (:mod:`train.offline`).

    Attributes:
        canvas: side of a drawing in pixels, a multiple of 8, before it is framed to the model's size.
        chunk: pictures of one family drawn at a time: bounds the memory.
        ahead: batches whose pictures are drawn together: a GPU draws many in the time of few.
        corner, turned, photograph, line_drawing, sketch: shares of the families; together 1.
        two, four: shares of the batches of the language stages with so many views of each part; the others have one.
    """

    canvas: int = 448
    chunk: int = 128
    ahead: int = 1
    corner: float = 0.5
    turned: float = 0.15
    photograph: float = 0.15
    line_drawing: float = 0.1
    sketch: float = 0.1
    two: float = 0.0
    four: float = 0.0

    def shares(self) -> dict[str, float]:
        """Return the share of each family."""
        return {n: getattr(self, n) for n in ("corner", "turned", "photograph", "line_drawing", "sketch")}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training run.

    ``start`` is a folder with ``weights.pt`` and ``tokenizer/`` that an earlier run left, to start from.
    """

    name: str = "default"
    out: str = "runs/default"
    prompt: str = "prompts/default.txt"
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    compile: bool = True
    start: str | None = None
    checkpoint_minutes: float = 3.0
    eval_minutes: float = 3.0
    log_seconds: float = 10.0
    data: Data = field(default_factory=Data)
    drawn: Drawn = field(default_factory=Drawn)
    tokenizer: Tokens = field(default_factory=Tokens)
    model: Sizes = field(default_factory=Sizes)
    vision: Stage = field(default_factory=Stage)
    language: Stage = field(default_factory=Stage)
    stage1: Stage = field(default_factory=Stage)
    stage2: Stage = field(default_factory=Stage)


class OutOfTime(Exception):
    """The time given to a piece of a run is up; its state is saved, and the same command goes on."""

    exit_code = 75


#: The stages in their order.
STAGES = ("vision", "language", "stage1", "stage2")


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: a YAML file.
        overrides: ``key=value`` with dotted keys, for example ``stage2.minutes=60``; values are YAML.

    Raises:
        ConfigError: naming every fault with its key.
    """
    tree = read_yaml(path)
    faults: list[str] = []
    for item in overrides or []:
        override(tree, item, faults)
    recipe = build(Recipe, tree, "", faults)
    if not faults:
        faults += _check(recipe)
    if faults:
        raise ConfigError(f"the recipe {path} has {len(faults)} fault(s): " + "; ".join(faults))
    return recipe


def as_tree(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe as plain data, for a file beside the results."""
    return dataclasses.asdict(recipe)


def _check(recipe: Recipe) -> list[str]:
    faults = [f"model.{f}" for f in recipe.model.faults()]
    for name in STAGES:
        stage: Stage = getattr(recipe, name)
        if stage.schedule not in ("wsd", "cosine"):
            faults.append(f"{name}.schedule: must be wsd or cosine, not {stage.schedule!r}")
        if stage.optimizer not in ("adamw", "muon"):
            faults.append(f"{name}.optimizer: must be adamw or muon, not {stage.optimizer!r}")
        if stage.batch < 1:
            faults.append(f"{name}.batch: must be at least 1, not {stage.batch}")
        if stage.lr <= 0:
            faults.append(f"{name}.lr: must be above 0, not {stage.lr}")
        if not 0 <= stage.decay <= 1:
            faults.append(f"{name}.decay: must be from 0 to 1, not {stage.decay}")
        for length in ("minutes", "samples"):
            if (getattr(stage, length) or 0) < 0:
                faults.append(f"{name}.{length}: must not be negative")
    if not recipe.vision.is_off and recipe.model.patch % CELL:
        faults.append(f"model.patch: must be a multiple of {CELL} for the depth grid of the vision stage")
    if not 0 <= recipe.data.margin < 0.4:
        faults.append(f"data.margin: must be from 0 to 0.4, not {recipe.data.margin}")
    if recipe.data.held_out < 1:
        faults.append(f"data.held_out: must be at least 1, not {recipe.data.held_out}")
    faults += _check_drawn(recipe)
    if recipe.device not in ("auto", "cpu") and not recipe.device.startswith("cuda"):
        faults.append(f"device: must be auto, cpu or cuda, not {recipe.device!r}")
    return faults


def _check_drawn(recipe: Recipe) -> list[str]:
    drawn = recipe.drawn
    faults = []
    total = sum(drawn.shares().values())
    if abs(total - 1) > 1e-6 or min(drawn.shares().values()) < 0:
        faults.append(f"drawn: the shares of the families must add up to 1 and none be negative, not {total:g}")
    if min(drawn.two, drawn.four) < 0 or drawn.two + drawn.four > 1:
        faults.append("drawn: two and four must not be negative, nor more than 1 together")
    if drawn.canvas < 32 or drawn.canvas % 8:
        faults.append(f"drawn.canvas: must be a multiple of 8 from 32, not {drawn.canvas}")
    for name in ("chunk", "ahead"):
        if getattr(drawn, name) < 1:
            faults.append(f"drawn.{name}: must be at least 1, not {getattr(drawn, name)}")
    views = 4 if drawn.four else 2 if drawn.two else 1
    if views * recipe.model.image_tokens + recipe.data.max_tokens + 32 > recipe.model.positions:
        faults.append(
            f"model.positions: too few for the image tokens of {views} picture(s), the prompt and data.max_tokens"
        )
    return faults
