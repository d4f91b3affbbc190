"""A checkpoint small enough to train here: it has learnt one script, whatever it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cadcoder.cli.main import app

SCRIPT = """import cadquery as cq

result = cq.Workplane("XY").circle(40).circle(16).extrude(12)
result = result.union(cq.Workplane("XY", origin=(0, 0, 12)).circle(25).circle(16).extrude(20))
"""


def train_tiny(folder: Path, script: str) -> Path:
    """Train a LLaVA of some 100 thousand weights to write one script, and save it as a checkpoint."""
    import torch

    from cadcoder.model.build import Sizes, build_model, build_processor
    from cadcoder.model.checkpoint import Card, prompt_ids
    from cadcoder.model.framing import SQUARE
    from cadcoder.model.tokenizer import train_tokenizer

    torch.set_num_threads(1)
    sizes = Sizes(
        image=32, patch=16, vision_width=32, vision_layers=1, vision_heads=2, width=64, layers=1, heads=2, kv_heads=2,
        feed_forward=128, positions=256,
    )  # fmt: skip
    tokenizer = train_tokenizer([script] * 3, vocab_size=1024)
    torch.manual_seed(0)
    model = build_model(sizes, tokenizer)
    processor = build_processor(sizes, tokenizer)
    card = Card(prompt="Write it.", framing=SQUARE, recipe="test")
    before, after = prompt_ids(processor, card.prompt)
    start = [*before, *[tokenizer.convert_tokens_to_ids("<image>")] * sizes.image_tokens, *after]
    answer = [*tokenizer(script, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    ids = torch.tensor([start + answer])
    labels = torch.tensor([[-100] * len(start) + answer])
    pixels = torch.zeros(1, 3, sizes.image, sizes.image)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(200):
        shown = pixels + torch.randn_like(pixels) * (step % 3)
        loss = model(input_ids=ids, pixel_values=shown, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.003:
            break
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    card.save(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("model") / "tiny", SCRIPT)


def generate(capfd: pytest.CaptureFixture[str], model: Path, *args: str) -> tuple[int, str, str]:
    """Run ``cadcoder generate`` without refinement; return the exit code, what went to stdout and to stderr."""
    capfd.readouterr()
    try:
        app(["generate", "--model", str(model), "--device", "cpu", "--no-refine", *args])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capfd.readouterr()
    return code, out, err
