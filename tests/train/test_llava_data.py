"""Samples, labels, order: what is learnt and nothing else, the same however many processes share it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cadcoder.errors import ConfigError
from train.llava.encode import IGNORE, Collate, Encoder, Look, Reader, lengths
from train.llava.order import Order, Steps, share, split
from train.llava.recipe import Data
from train.llava.samples import Row, Samples, open_picture

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "CadQuery:"


@pytest.fixture(scope="module")
def processor():
    from transformers import LlavaProcessor

    return LlavaProcessor.from_pretrained(ROOT / "cadcoder" / "model" / "default")


@pytest.fixture(scope="module")
def encoder(processor):
    return Encoder(processor, PROMPT, 100)


@pytest.fixture(scope="module")
def samples(tiny):
    return Samples(Data(path=str(tiny / "data")))


def _chat(kind, template):
    """A processor of the tiny model's kind with another template and a tokenizer that knows its tokens."""
    from transformers import CLIPVisionConfig, LlavaConfig

    from cadcoder.model.tokenizer import train_tokenizer
    from train.llava.backbones import make_processor

    tokenizer = train_tokenizer(["USER: ASSISTANT: user assistant import cadquery"] * 3, 1100)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}, False)
    if template == "chatml":
        tokenizer.eos_token = "<|im_end|>"
    config = LlavaConfig(vision_config=CLIPVisionConfig(image_size=32, patch_size=16), image_seq_length=4)
    return make_processor(config, tokenizer, ([0.5] * 3, [0.5] * 3), template)


def test_labels_are_the_answer_and_its_end(encoder, samples):
    row = samples[3]
    ids, labels = encoder.ids(row)
    learnt = [i for i, label in zip(ids, labels, strict=True) if label != IGNORE]
    assert [label for label in labels if label != IGNORE] == learnt
    assert encoder.tokenizer.decode(learnt) == row.answer + "</s>"
    assert ids.count(encoder.image_id) == 100 and labels[-1] == encoder.eos
    # Up to the answer they are what the program gives the model at inference.
    from cadcoder.model.checkpoint import prompt_ids

    before, after = prompt_ids(encoder.processor, PROMPT)
    assert ids[: len(ids) - len(learnt)] == [*before, *[encoder.image_id] * 100, *after]


def test_ids_and_pixels_are_the_processors(encoder, samples):
    row, look = samples[0], Look.of(encoder.processor, Data(crop=True, margin=0.04, grey=True))
    from cadcoder.model.framing import frame

    content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
    text = encoder.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    square = frame(open_picture(row), look.size, look.framing)
    theirs = encoder.processor(images=square, text=text, return_tensors="pt", add_special_tokens=False)
    ids, labels = encoder.ids(row)
    start = next(i for i, label in enumerate(labels) if label != IGNORE)
    assert theirs["input_ids"][0].tolist() == ids[:start]
    assert torch.allclose(theirs["pixel_values"][0], look.pixels(open_picture(row)), atol=1e-5)


@pytest.mark.parametrize(
    "template, text",
    [
        ("vicuna", "USER: <image>\nWhat is it? ASSISTANT: a box</s> USER: Sure? ASSISTANT: yes</s>"),
        ("chatml", "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\na box<|im_end|>\n"
                   "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>"),
        ("plain", "<s><image>\nWhat is it?\na box</s>Sure?\nyes</s>"),
    ],
)  # fmt: skip
def test_templates_learn_every_answer_of_a_conversation(template, text):
    encoder = Encoder(_chat("llama", template), PROMPT, 4)
    turns = (("user", "What is it?"), ("assistant", "a box"), ("user", "Sure?"), ("assistant", "yes"))
    ids, labels = encoder.ids(Row(b"", turns, "any", "yes"))
    whole = encoder.tokenizer.decode(ids).replace("<image>" * 4, "<image>")
    assert whole.endswith(text)
    learnt = encoder.tokenizer.decode([i for i in labels if i != IGNORE]).replace(" ", "")
    end = encoder.tokenizer.eos_token
    assert learnt == f"abox{end}yes{end}"


def test_a_picture_of_other_tokens_than_the_config_says_is_told(processor):
    with pytest.raises(ConfigError, match="100 tokens of a picture and the model's config says 576"):
        Encoder(processor, PROMPT, 576)


def test_lengths_are_those_of_the_ids_and_counted_once(encoder, samples, tmp_path):
    found = lengths(samples, encoder, tmp_path)
    assert found.tolist() == [len(encoder.ids(samples[i])[0]) for i in range(len(samples))]
    (file,) = tmp_path.glob("*.npy")
    np.save(file, found + 1)
    assert (lengths(samples, encoder, tmp_path) == found + 1).all()


def test_llava_json_and_gencad_parquet_are_read(tiny, encoder, tmp_path):
    import pyarrow.parquet as pq

    table = pq.read_table(tiny / "data" / "train-00000.parquet")
    pictures = table.column("image").to_pylist()
    (tmp_path / "images").mkdir()
    rows = []
    for i in range(4):
        (tmp_path / "images" / f"{i}.png").write_bytes(pictures[i]["bytes"])
        turns = [{"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": f"box {i}"}]
        rows.append({"id": str(i), "image": f"{i}.png", "conversations": turns})
    (tmp_path / "chat.json").write_text(json.dumps(rows))
    chat = Samples(Data(path=str(tmp_path / "chat.json"), images=str(tmp_path / "images")))
    assert len(chat) == 4 and open_picture(chat[2]).size == (112, 112)
    ids, labels = encoder.ids(chat[2])
    assert encoder.tokenizer.decode([i for i in labels if i != IGNORE]) == "box 2</s>"
    assert lengths(chat, encoder, tmp_path / "cache")[2] == len(ids)
    # GenCAD-Code's columns: image, and the script as cadquery.
    pq.write_table(table.rename_columns(["image", "cadquery"]), tmp_path / "gencad.parquet")
    assert Samples(Data(path=str(tmp_path / "gencad.parquet")))[1].answer == table.column("code")[1].as_py()
    with pytest.raises(ConfigError, match="stage1.data.images"):
        Samples(Data(path=str(tmp_path / "chat.json")), "stage1.data")
    with pytest.raises(ConfigError, match="no column caption; it has image, cadquery"):
        Samples(Data(path=str(tmp_path / "gencad.parquet"), answer="caption"))


def test_long_samples_are_dropped_and_held_out_ones_never_trained_on():
    sizes = np.arange(100) % 50
    found = split(sizes, 39, 8)
    assert found.dropped == 20 and len(found.held) == 8 and len(found.train) == 72
    assert not set(found.held) & set(found.train) and max(sizes[found.train]) == 39


def test_a_batch_is_the_same_however_many_share_it():
    sizes = np.random.default_rng(0).integers(10, 400, 500)
    order = Order(np.arange(500), sizes, 16, seed=3)
    seen = []
    for step in range(order.steps_a_pass):
        turn, batch = order.at(step)
        assert turn == 0
        for world in (1, 2, 4):
            parts = [np.concatenate(share(batch, 2, rank, world)) for rank in range(world)]
            assert sorted(np.concatenate(parts)) == sorted(batch) and len({len(p) for p in parts}) == 1
        seen += list(batch)
    assert len(set(seen)) == len(seen) == 496
    spread = [np.ptp(sizes[order.at(s)[1]]) for s in range(order.steps_a_pass)]
    assert np.mean(spread) < 60  # 350 and more without grouping
    assert (order.at(order.steps_a_pass)[1] != order.at(0)[1]).any()
    # What a rank reads from a step on is what it would have read had it run through.
    whole = list(Steps(order, 4, 1, 2, 0, 40))
    assert whole[2 * 7 :] == list(Steps(order, 4, 1, 2, 7, 40)) and len(whole) == 80


def test_augmentation_goes_by_family_and_place(samples, encoder):
    from dataclasses import replace

    look = Look.of(encoder.processor, Data(crop=False))
    samples.data = replace(samples.data, augment={"gencad": {"shift": 0.1, "scale": 0.1, "noise": 9.0, "blur": 1.0}})
    reader = Reader(samples, encoder, look, seed=5)
    plain, one, again, other = (reader[(turn, 2)]["pixels"] for turn in (-1, 0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, plain) and not torch.equal(one, other)
    samples.data = replace(samples.data, augment={"photo": {"brightness": 0.5}})
    assert torch.equal(reader[(0, 2)]["pixels"], plain)


def test_padding_is_at_the_end_and_not_learnt(samples, encoder):
    reader = Reader(samples, encoder, Look.of(encoder.processor, Data()), 0)
    batch = Collate(encoder.tokenizer.pad_token_id)([reader[(-1, 0)], reader[(-1, 1)]])
    assert batch["input_ids"].shape == batch["labels"].shape and batch["input_ids"].shape[1] % 8 == 0
    pads = batch["input_ids"] == encoder.tokenizer.pad_token_id
    assert (batch["labels"][pads] == IGNORE).all() and batch["pixel_values"].shape == (2, 3, 160, 160)


def test_the_loss_is_the_models_own(samples, encoder):
    """Padding without a mask, and the head on the answer alone: what stock transformers computes with both."""
    from transformers import LlavaForConditionalGeneration

    from train.llava.loss import Answers, answer_tokens

    model = LlavaForConditionalGeneration.from_pretrained(ROOT / "cadcoder" / "model" / "default", dtype=torch.float32)
    reader = Reader(samples, encoder, Look.of(encoder.processor, Data(crop=True)), 0)
    batch = Collate(encoder.tokenizer.pad_token_id)([reader[(-1, i)] for i in range(3)])
    ids, labels, pixels = batch["input_ids"], batch["labels"], batch["pixel_values"]
    with torch.no_grad():
        ours = Answers(model)(ids, labels, pixels) / answer_tokens(labels)
        mask = (ids != encoder.tokenizer.pad_token_id).long()
        theirs = model(input_ids=ids, pixel_values=pixels, attention_mask=mask, labels=labels).loss
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)
