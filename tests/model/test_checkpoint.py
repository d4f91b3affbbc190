"""A built model saves, reloads in stock classes, and writes the same tokens; cards, names and faults."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from cadcoder.errors import ConfigError, InputError
from cadcoder.model.build import Sizes, build_model, build_processor
from cadcoder.model.checkpoint import NAMES, PAPER_PROMPT, Card, find, prompt_ids, read_card
from cadcoder.model.framing import SQUARE, Framing
from cadcoder.model.generate import Model, clean
from cadcoder.model.tokenizer import train_tokenizer

SIZES = Sizes(
    image=32, patch=16, vision_width=32, vision_layers=2, vision_heads=2, width=32, layers=2, heads=2, kv_heads=1,
    feed_forward=64, positions=96,
)  # fmt: skip
TEXT = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(40, 20).extrude(5)\n'


def _picture(i=0):
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).rectangle((8, 8, 20 + 3 * i, 50 - 2 * i), fill=(141 - 9 * i,) * 3)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    tokenizer = train_tokenizer([TEXT] * 30, vocab_size=1200)
    model = build_model(SIZES, tokenizer)
    with torch.no_grad():  # larger weights, so that sampling has something to choose between
        for p in model.parameters():
            if p.ndim == 2:
                p.mul_(4)
    model.to(torch.bfloat16).save_pretrained(out)
    build_processor(SIZES, tokenizer).save_pretrained(out)
    Card(prompt="CadQuery:", framing=Framing(margin=0.1), number_grid=0.5, recipe="tiny").save(out)
    return out


@pytest.fixture(scope="module")
def model(folder):
    return Model.load(folder, device="cpu")


def test_stock_classes_load_it_and_write_the_same_tokens(folder, model):
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    stock = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": "CadQuery:"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    for i in range(3):
        inputs = processor(images=model.framed(_picture(i)), text=text, return_tensors="pt")
        assert (inputs["input_ids"] == stock.config.image_token_id).sum() == SIZES.image_tokens
        out = stock.generate(**inputs, max_new_tokens=20, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert model.candidates(_picture(i), n=3, max_new_tokens=20)[0] == clean(
            processor.decode(out, skip_special_tokens=True)
        )


def test_no_custom_code_and_tied_weights(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"] and "auto_map" not in json.dumps(config)
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as weights:
        names = list(weights.keys())
        assert {weights.get_tensor(n).dtype for n in names} == {torch.bfloat16}
    assert sum("lm_head" in n or "embed_tokens" in n for n in names) == 1


def test_a_seed_gives_the_same_scripts_alone_or_in_a_batch(model):
    pictures = [_picture(i) for i in range(4)]
    together = model.candidates_batch(pictures, n=3, seed=5, max_new_tokens=12)
    assert together == [model.candidates(p, n=3, seed=5, max_new_tokens=12) for p in pictures]
    assert together == model.candidates_batch(pictures, n=3, seed=5, max_new_tokens=12, rows=6)
    other = model.candidates_batch(pictures, n=3, seed=6, max_new_tokens=12)
    assert [t[0] for t in other] == [t[0] for t in together]
    assert other != together


def test_sampling_keeps_to_the_nucleus(model):
    greedy = model.candidates(_picture(), n=1, max_new_tokens=10)[0]
    assert model.candidates(_picture(), n=4, max_new_tokens=10, top_p=1e-6) == [greedy] * 4
    assert len(set(model.candidates(_picture(), n=8, max_new_tokens=10, top_p=1.0))) > 4


def test_it_stops_at_the_end_and_at_the_limit(model):
    assert len(model.candidates(_picture(), max_new_tokens=3)[0].encode()) < 200
    steps = list(model._steps([_picture()], range(2), 0, None, 1.0, 1.0))
    assert 0 < len(steps) <= SIZES.positions - SIZES.image_tokens
    row, first = steps[0][0]
    assert row == 0
    ends, model._ends = model._ends, [first]
    try:
        assert list(model._steps([_picture()], range(1), 0, 10, 1.0, 1.0)) == []
        assert model.candidates(_picture(), max_new_tokens=10) == [""]
    finally:
        model._ends = ends


def test_embeddings_are_unit_vectors_that_tell_pictures_apart(model):
    a, b = model.embed(_picture(0)), model.embed(_picture(5))
    assert a.shape == (SIZES.width,) and abs(np.linalg.norm(a) - 1) < 1e-5
    assert a @ b < 1 - 1e-6
    assert np.allclose(a, model.embed(_picture(0)))


@pytest.mark.parametrize("kwargs", [{"n": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"max_new_tokens": 0}])
def test_numbers_out_of_range_are_refused(model, kwargs):
    with pytest.raises(InputError):
        model.candidates(_picture(), **kwargs)


def test_the_card_comes_back_and_guards_its_prompt(folder, tmp_path, model):
    card = read_card(folder)
    assert card == model.card and card.framing.margin == 0.1 and card.recipe == "tiny"
    assert read_card(tmp_path) == Card(prompt=PAPER_PROMPT, framing=SQUARE)
    tree = json.loads((folder / "cadcoder.json").read_text())
    (tmp_path / "cadcoder.json").write_text(json.dumps({**tree, "prompt": "another"}))
    with pytest.raises(InputError, match="hash"):
        read_card(tmp_path)
    (tmp_path / "cadcoder.json").write_text("{")
    with pytest.raises(InputError, match="faulty"):
        read_card(tmp_path)


def test_what_is_not_there_is_told_in_one_line(tmp_path, monkeypatch, folder):
    monkeypatch.setitem(NAMES, "default", tmp_path / "none")
    with pytest.raises(InputError, match="train.run"):
        find("default")
    with pytest.raises(InputError, match="config.json"):
        Model.load(tmp_path)
    with pytest.raises(InputError, match="no device"):
        Model.load(folder, device="abacus")
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError) as told:
        Model.load(broken, device="cpu")
    assert "\n" not in str(told.value)


def test_sizes_tell_all_their_faults():
    tokenizer = train_tokenizer([TEXT] * 5, vocab_size=1200)
    with pytest.raises(ConfigError) as told:
        build_model(Sizes(image=100, patch=16, heads=3, positions=10), tokenizer)
    for part in ("image (100)", "width (256)", "positions (10)"):
        assert part in str(told.value)


def test_a_prompt_without_a_chat_template_is_plain(folder):
    from transformers import LlavaProcessor

    processor = LlavaProcessor.from_pretrained(folder)
    with_template = prompt_ids(processor, "CadQuery:")
    processor.chat_template = processor.tokenizer.chat_template = None
    before, after = prompt_ids(processor, "CadQuery:")
    assert before == with_template[0] == [1]
    assert processor.tokenizer.decode(after) == "\nCadQuery:\n"
    assert processor.tokenizer.decode(with_template[1]) == "CadQuery:\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("```python\nx = 1\n```", "x = 1\n"), ("x = 1\n", "x = 1\n"), ("Here:\n```\ny\n```\nbye", "y\n"), ("", "")],
)
def test_fences_are_dropped(text, wanted):
    assert clean(text) == wanted


def test_importing_the_room_is_light():
    code = "import sys, cadcoder.model; sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
