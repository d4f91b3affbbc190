"""What a finished checkpoint says of itself: ``cadcoder.json`` for the program, a model card for people."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from cadcoder.model.checkpoint import Card
from cadcoder.model.framing import Framing
from train.export import commit
from train.llava.recipe import LlavaRecipe


def write_cards(recipe: LlavaRecipe, prompt: str, folder: Path, processor: Any, config: Any) -> None:
    """Write ``cadcoder.json`` and ``README.md`` into a checkpoint folder of stage 2."""
    import torch
    import transformers

    stages = {}
    for name in ("stage1", "stage2"):
        done = Path(recipe.out) / name / "done.json"
        if done.exists():
            stages[name] = json.loads(done.read_text())
    data = recipe.stage2.data
    training = {
        "stages": {k: {x: y for x, y in v.items() if x != "history"} for k, v in stages.items()},
        "seed": recipe.seed,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    framing = Framing(crop=data.crop, margin=data.margin, grey=data.grey)
    Card(prompt=prompt, framing=framing, recipe=recipe.name, training=training).save(folder)
    (folder / "README.md").write_text(model_card(recipe, prompt, stages, training, config))


def model_card(recipe: LlavaRecipe, prompt: str, stages: dict[str, Any], training: dict[str, Any], config: Any) -> str:
    """Return the model card of a run, as Markdown with the Hub's header."""
    text, tower = config.text_config, config.vision_config
    base = recipe.start or recipe.text.path
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: image-to-text",
        f"base_model: {base}",
        "tags: [llava, cadquery, cad]",
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"Pictures of parts to CadQuery scripts. Trained by cadcoder's recipe `{recipe.name}`, seed {recipe.seed}, "
        f"commit `{training['commit']}`, with " + ", ".join(f"{k} {v}" for k, v in training["versions"].items()) + ".",
        "",
        f"- Language model: `{base}` ({text.model_type}, {text.num_hidden_layers} layers of width {text.hidden_size}"
        + (f"; LoRA of rank {recipe.lora.rank}, {recipe.lora.bits} bits, merged)" if recipe.lora else ")"),
        f"- Vision tower: `{recipe.start or recipe.vision.path}` ({tower.model_type}, {tower.num_hidden_layers} layers "
        f"of width {tower.hidden_size}, {tower.image_size} pixels in patches of {tower.patch_size}; hidden state "
        f"{config.vision_feature_layer}; {config.image_seq_length} tokens a picture)",
        f"- Prompt: `{prompt}`",
        "",
        "| stage | trained | data | samples seen | steps of | rate | dropped | best held-out loss | minutes | on |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, done in stages.items():
        stage = recipe.stage(name)
        force = done["force"]
        on = f"{force['world']} x {done['device']}" + (f", ZeRO {force['zero']}" if force["zero"] else "")
        lines.append(
            f"| {name} | {', '.join(stage.train)} | `{stage.data.path}` | {done['samples']:,} | {stage.batch} "
            f"| {stage.lr:g} | {done['dropped']:,} | {done['best']:.4f} (step {done['best_step']:,}) "
            f"| {done['seconds'] / 60:.1f} | {on} |"
        )
    last = (stages.get("stage2") or {}).get("history") or []
    if last and "iou_best" in last[-1]:
        lines += [
            "",
            f"Held out, {recipe.eval_scripts} greedy scripts run in the executor at the end: valid syntax rate "
            f"{last[-1]['valid_syntax_rate']:.3f}, IoU_best {last[-1]['iou_best']:.3f} (failures as 0).",
        ]
    lines += ["", "Not measured here: other sets, photographs, parts unlike those of the set above.", ""]
    return "\n".join(lines)
