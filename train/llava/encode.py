"""Samples as tensors: token ids with the picture's tokens in place, labels masked to the answers, pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cadcoder.errors import ConfigError
from cadcoder.model.framing import Framing, frame
from train.llava.augment import augmented
from train.llava.recipe import Data
from train.llava.samples import Row, Samples, open_picture

#: Label of a token that is not learnt.
IGNORE = -100
Array = np.ndarray[Any, Any]


class Encoder:
    """Turns rows into ids and labels, as the processor of the checkpoint will at inference."""

    def __init__(self, processor: Any, prompt: str, image_tokens: int) -> None:
        """Take the processor, the prompt of rows without a question, and the tokens of a picture.

        Raises:
            ConfigError: if the processor makes another number of tokens of a picture than the model's config says.
        """
        self.processor, self.prompt, self.image_tokens = processor, prompt, image_tokens
        self.tokenizer = processor.tokenizer
        self.image_id = int(self.tokenizer.convert_tokens_to_ids("<image>"))
        self.eos = int(self.tokenizer.eos_token_id)
        side = int(processor.image_processor.crop_size["height"])
        made = processor._get_num_multimodal_tokens(image_sizes=[(side, side)])["num_image_tokens"][0]
        if made != image_tokens:
            raise ConfigError(
                f"the processor makes {made} tokens of a picture and the model's config says {image_tokens}; "
                "the checkpoint's processor_config.json and config.json do not belong together"
            )
        first = self.tokenizer.convert_ids_to_tokens(self.tokenizer("x", add_special_tokens=False)["input_ids"])[0]
        # SentencePiece puts a space before a text; what starts with one must not get two.
        self._adds_space = first.startswith("\u2581")
        self._pieces: dict[tuple[tuple[str, str | None], ...], list[str]] = {}

    def pieces(self, row: Row) -> list[tuple[str, bool]]:
        """Return a row as texts, each with whether it is learnt; joined they are what the template renders.

        Raises:
            ConfigError: if the template renders a turn otherwise when more turns follow.
        """
        messages: list[dict[str, Any]] = []
        found: list[tuple[str, bool]] = []
        done = ""
        for who, text in row.turns:
            said = self.prompt if text is None else text
            if who == "assistant":
                before = self._render(messages, True)
                messages.append({"role": who, "content": [{"type": "text", "text": said}]})
                after = self._render(messages, False)
                if not before.startswith(done) or not after.startswith(before):
                    raise ConfigError("text.template: a turn changes when more follow; take one of ours")
                found += [(before[len(done) :], False), (after[len(before) :], True)]
                done = after
            else:
                content: list[dict[str, Any]] = [{"type": "text", "text": said}]
                if not messages and row.image is not None:
                    content.insert(0, {"type": "image"})
                messages.append({"role": who, "content": content})
        return found

    def _render(self, messages: list[dict[str, Any]], prompt: bool) -> str:
        text: str = self.processor.apply_chat_template(messages, add_generation_prompt=prompt)
        return text

    def ids(self, row: Row) -> tuple[list[int], list[int]]:
        """Return (ids, labels), both with the picture's tokens in place; labels are learnt up to the end token."""
        ids: list[int] = []
        labels: list[int] = []
        for at, (text, learnt) in enumerate(self.pieces(row)):
            if self._adds_space and at and text.startswith(" "):
                text = text[1:]
            part: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            if learnt:
                end = part.index(self.eos) + 1 if self.eos in part else len(part)
                labels += part[:end] + [IGNORE] * (len(part) - end)
            else:
                part = [t for i in part for t in ([i] * self.image_tokens if i == self.image_id else [i])]
                labels += [IGNORE] * len(part)
            ids += part
        # What a template adds after the last end is never seen at inference.
        keep = max((i + 1 for i, label in enumerate(labels) if label != IGNORE), default=len(ids))
        return ids[:keep], labels[:keep]

    def key(self) -> str:
        """Return a hash of everything that decides the ids."""
        seen = [self.prompt, str(self.image_tokens), str(self.processor.chat_template)]
        seen.append(self.tokenizer.backend_tokenizer.to_str())
        return hashlib.sha256("\0".join(seen).encode()).hexdigest()[:16]


def lengths(samples: Samples, encoder: Encoder, cache: Path) -> Array:
    """Return the number of tokens of every sample (int32), kept in a file so that it is counted once.

    A sample's picture is taken as given where its set has pictures.
    """
    key = hashlib.sha256(f"{samples.fingerprint} {encoder.key()}".encode()).hexdigest()[:16]
    file = cache / f"lengths-{key}.npy"
    if file.exists():
        return np.asarray(np.load(file))
    counts: list[int] = []
    fixed: int | None = None
    for rows in samples.texts():
        if samples.is_json:
            counts += [len(encoder.ids(row)[0]) for row in rows]
            continue
        # One question for all: only the answers differ.
        rows = [Row(b"", r.turns, r.family, r.answer) for r in rows]
        if fixed is None:
            fixed = len(encoder.ids(rows[0])[0]) - len(_answer_ids(encoder, rows[:1])[0])
        counts += [fixed + len(ids) for ids in _answer_ids(encoder, rows)]
    found = np.asarray(counts, np.int32)
    cache.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial.npy")
    np.save(partial, found)
    os.replace(partial, file)
    return found


def _answer_ids(encoder: Encoder, rows: Sequence[Row]) -> list[list[int]]:
    found: list[list[int]] = encoder.tokenizer([r.answer for r in rows], add_special_tokens=False)["input_ids"]
    return found


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures become pixels: side, framing, mean and deviation."""

    size: int
    framing: Framing
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any, data: Data) -> Look:
        """Return the look of a processor and a data section."""
        images = processor.image_processor
        framing = Framing(crop=data.crop, margin=data.margin, grey=data.grey)
        return cls(int(images.crop_size["height"]), framing, tuple(images.image_mean), tuple(images.image_std))

    def pixels(self, image: Any) -> torch.Tensor:
        """Return float32 (3, size, size), as the checkpoint's processor makes it of the framed picture."""
        square = np.asarray(frame(image, self.size, self.framing), np.float32) / 255
        return torch.from_numpy((square - np.float32(self.mean)) / np.float32(self.std)).permute(2, 0, 1)


class Reader(torch.utils.data.Dataset[dict[str, Any]]):
    """Reads (pass, sample) pairs into tensors; a pass of -1 is without augmentation."""

    def __init__(self, samples: Samples, encoder: Encoder, look: Look, seed: int) -> None:
        """Take where samples come from and how they are turned into tensors."""
        self.samples, self.encoder, self.look, self.seed = samples, encoder, look, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, at: tuple[int, int]) -> dict[str, Any]:
        """Return ``ids`` and ``labels`` (length,), ``pixels`` (3, size, size) or None, and ``index``."""
        turn, index = at
        row = self.samples[index]
        ids, labels = self.encoder.ids(row)
        pixels = None
        if row.image is not None:
            image = open_picture(row)
            if turn >= 0:
                rng = np.random.default_rng([self.seed, turn, index])
                image = augmented(image, row.family, self.samples.data.augment, rng)
            pixels = self.look.pixels(image)
        return {"ids": ids, "labels": labels, "pixels": pixels, "index": index}


class Collate:
    """Pads samples at their end to one length: under causal attention the padding needs no mask there."""

    def __init__(self, pad: int, multiple: int = 8) -> None:
        """Take the padding's id, and what lengths are rounded up to."""
        self.pad, self.multiple = pad, multiple

    def __call__(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return ``input_ids``, ``labels`` (batch, length), ``pixel_values`` (pictures, 3, s, s) or None, ``index``."""
        longest = max(len(s["ids"]) for s in samples)
        longest = -(-longest // self.multiple) * self.multiple
        ids = torch.full((len(samples), longest), self.pad, dtype=torch.long)
        labels = torch.full((len(samples), longest), IGNORE, dtype=torch.long)
        for i, sample in enumerate(samples):
            ids[i, : len(sample["ids"])] = torch.tensor(sample["ids"])
            labels[i, : len(sample["labels"])] = torch.tensor(sample["labels"])
        pixels = [s["pixels"] for s in samples if s["pixels"] is not None]
        return {
            "input_ids": ids,
            "labels": labels,
            "pixel_values": torch.stack(pixels) if pixels else None,
            "index": [int(s["index"]) for s in samples],
            "tokens": sum(len(s["ids"]) for s in samples),
        }
