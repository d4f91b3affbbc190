"""The finished checkpoint: transformers' files in bfloat16, ``cadcoder.json``, and a section for the model card."""

from __future__ import annotations

import copy
import json
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cadcoder.model.checkpoint import Card
from cadcoder.model.engines import make_readable
from cadcoder.model.framing import Framing
from train.config import STAGES, Recipe


def recipe_framing(recipe: Recipe) -> Framing:
    """Return the framing of a recipe."""
    return Framing(crop=recipe.data.crop, margin=recipe.data.margin)


def export(recipe: Recipe, model: Any, processor: Any, prompt: str, out: Path) -> Path:
    """Write ``OUT/model``, from which stock transformers and ``cadcoder`` load.

    Args:
        recipe: what was trained.
        model: the LLaVA with its final weights.
        processor: its ``LlavaProcessor``.
        prompt: text after the picture.
        out: folder of the run.
    """
    import torch

    folder = out / "model"
    # A copy with plain layers: compiled ones carry wrappers, and the run's own weights stay in fp32.
    plain = type(model)(copy.deepcopy(model.config))
    plain.load_state_dict({k: v.cpu() for k, v in model.state_dict().items()})
    plain.generation_config = model.generation_config
    plain.to(torch.bfloat16).save_pretrained(folder)
    make_readable(folder)
    processor.save_pretrained(folder)
    card = Card(
        prompt=prompt,
        framing=recipe_framing(recipe),
        number_grid=0.5,
        recipe=recipe.name,
        training=summary(recipe, out),
    )
    card.save(folder)
    (out / "model_card_training.md").write_text(card_section(recipe, card.training))
    return folder


def summary(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Return what the run was: its stages' ends, versions and commit."""
    import torch
    import transformers

    stages = {}
    for name in STAGES:
        path = out / name / "done.json"
        if path.exists():
            stages[name] = json.loads(path.read_text())
    return {
        "stages": stages,
        "seed": recipe.seed,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def commit() -> str | None:
    """Return the commit of the code, from git or from the file ``COMMIT`` of a packed kit."""
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        run = None
    if run is not None and run.returncode == 0:
        return run.stdout.strip()
    noted = Path(__file__).resolve().parents[1] / "COMMIT"
    return noted.read_text().strip() if noted.exists() else None


def card_section(recipe: Recipe, training: dict[str, Any]) -> str:
    """Return the model card's section on training, as Markdown."""
    m = recipe.model
    lines = [
        "## Training",
        "",
        f"Recipe `{recipe.name}`, seed {recipe.seed}, commit `{training['commit']}`. CLIP vision tower:"
        f" {m.vision_layers} layers of width {m.vision_width} on {m.image}x{m.image} pixels in patches of {m.patch}"
        f" ({m.image_tokens} image tokens); Llama decoder: {m.layers} layers of width {m.width}.",
        "",
        "| stage | samples | minutes | samples/s | held-out loss | best |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, s in training["stages"].items():
        seen, seconds = s["samples_seen"], s["seconds"]
        lines.append(
            f"| {name} | {seen:,} | {seconds / 60:.1f} | {seen / max(1, seconds):.1f}"
            f" | {s['held_out_loss']:.4f} | {s['best_held_out_loss']:.4f} |"
        )
    for name, s in training["stages"].items():
        if s.get("report"):
            lines += ["", f"Stage {name}, held out: " + ", ".join(f"{k} {v:.3f}" for k, v in s["report"].items()) + "."]
    sizes = ", ".join(f"{k} {v}" for k, v in asdict(m).items())
    lines += ["", f"Sizes: {sizes}.", ""]
    return "\n".join(lines)
