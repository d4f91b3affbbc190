"""A LLaVA of a few thousand parameters and a set of boxes, for the tests of LLaVA runs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """
start: {start}
out: {out}
prompt: {root}/prompts/default.txt
precision: fp32
attention: eager
stage2:
  data: {{path: {data}, held_out: 8, max_tokens: 80, crop: true, grey: true}}
  train: [vision, projector, text]
  steps: 16
  batch: 8
  micro: 2
  lr: 3.0e-3
  checkpointing: false
save_steps: 4
eval_steps: 16
log_steps: 10
workers: 0
"""


def boxes(path: Path, rows: int, seed: int = 0) -> None:
    """Write a shard of boxes seen from the front: the width and height in the picture are those in the script."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    images, codes = [], []
    for _ in range(rows):
        w, h = (int(v) for v in rng.integers(1, 9, 2) * 12)
        image = Image.new("L", (112, 112), 255)
        ImageDraw.Draw(image).rectangle((56 - w // 2, 56 - h // 2, 56 + w // 2, 56 + h // 2), fill=141)
        out = io.BytesIO()
        image.save(out, "PNG")
        images.append({"bytes": out.getvalue(), "path": None})
        codes.append(f'import cadquery as cq\n\nresult = cq.Workplane("XZ").rect({w}, {h}).extrude(10)\n')
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "code": codes}), path)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a folder with ``data/``, the checkpoint ``llava/`` and a recipe's text for an ``out`` folder."""
    import pyarrow.parquet as pq
    import torch

    from cadcoder.model.build import Sizes, build_model, build_processor
    from cadcoder.model.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    boxes(folder / "data" / "train-00000.parquet", 72)
    codes = pq.read_table(folder / "data" / "train-00000.parquet").column("code").to_pylist()
    sizes = Sizes(image=32, patch=8, vision_width=32, vision_layers=2, vision_heads=2, width=64, layers=2, heads=2,
                  kv_heads=2, feed_forward=128, positions=128)  # fmt: skip
    tokenizer = train_tokenizer(codes, 1133)
    torch.manual_seed(0)
    build_model(sizes, tokenizer).save_pretrained(folder / "llava")
    build_processor(sizes, tokenizer).save_pretrained(folder / "llava")
    return folder


def write_recipe(tiny: Path, out: Path) -> Path:
    """Write the recipe of a run into its folder; return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tiny.yaml"
    path.write_text(RECIPE.format(start=tiny / "llava", out=out, root=ROOT, data=tiny / "data"))
    return path


@pytest.fixture(scope="session")
def recipe_file():
    """Return the function that writes a recipe."""
    return write_recipe
