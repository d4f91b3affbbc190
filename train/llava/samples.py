"""Samples on disk: Parquet shards (ours, GenCAD-Code), or LLaVA's JSON with a folder of pictures.

Rows are read one by one from the memory-mapped Arrow files that ``datasets`` keeps in its cache; pictures are decoded
when they are needed. Nothing but the lengths of the samples is held in memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cadcoder.errors import ConfigError, InputError, MissingDependency
from train.data import shard_files
from train.llava.recipe import Data

#: Columns that hold the script: ours, and GenCAD-Code's.
ANSWERS = ("code", "cadquery")


@dataclass(frozen=True, slots=True)
class Row:
    """One sample.

    Attributes:
        image: where its picture is: bytes, a path, or None.
        turns: (who, what was said), ``user`` and ``assistant`` in turn; None as the first question is the prompt.
        family: of its picture.
        answer: the last answer.
    """

    image: bytes | Path | None
    turns: tuple[tuple[str, str | None], ...]
    family: str
    answer: str


class Samples:
    """The rows of a set, by number."""

    def __init__(self, data: Data, key: str = "data") -> None:
        """Open a set; nothing is copied into memory.

        Args:
            data: the recipe's section.
            key: its name, for messages.

        Raises:
            ConfigError: if there is no such set, or its columns are not known.
            MissingDependency: without ``datasets``.
        """
        try:
            import datasets
        except ImportError:
            raise MissingDependency("training needs datasets: pip install 'cadcoder[train]'") from None
        self.data, self.key = data, key
        path = Path(data.path)
        datasets.disable_progress_bars()
        if not data.path or not path.exists():
            raise ConfigError(f"{key}.path: there is no {data.path or 'path'}; {_hint(data)}")
        self.is_json = path.suffix in (".json", ".jsonl")
        try:
            if self.is_json:
                self.rows: Any = datasets.load_dataset("json", data_files=str(path), split="train")
            else:
                files = [str(f) for f in ([path] if path.is_file() else shard_files(path))]
                if not files:
                    raise ConfigError(f"{key}.path: no Parquet shard in {path}; {_hint(data)}")
                self.rows = datasets.load_dataset("parquet", data_files=files, split="train")
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise ConfigError(f"{key}.path: {path} cannot be read: {' '.join(str(error).split())[:300]}") from None
        names = self.rows.column_names
        if self.is_json:
            wanted = ("conversations",)
        else:
            answer = data.answer or next((a for a in ANSWERS if a in names), ANSWERS[0])
            wanted = ("image", answer)
            self._answer = answer
        absent = [n for n in wanted if n not in names]
        if absent:
            raise ConfigError(f"{key}: {path} has no column {' or '.join(absent)}; it has {', '.join(names)}")
        if self.is_json and data.images is None:
            raise ConfigError(f"{key}.images: missing; give the folder of the pictures that {path} names")
        if not self.is_json and isinstance(self.rows.features["image"], datasets.Image):
            self.rows = self.rows.cast_column("image", datasets.Image(decode=False))
        self._views = "views" in names
        self._family = "family" in names

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def fingerprint(self) -> str:
        """Hash of the set's content, from ``datasets``."""
        return str(self.rows._fingerprint)

    def texts(self, chunk: int = 1000) -> Iterator[list[Row]]:
        """Yield all rows in order, without their pictures, a chunk at a time."""
        light = self.rows if self.is_json else self.rows.select_columns([self._answer])
        for start in range(0, len(light), chunk):
            block = light[start : start + chunk]
            keys = list(block)
            yield [self._row({k: block[k][i] for k in keys}) for i in range(len(block[keys[0]]))]

    def __getitem__(self, index: int) -> Row:
        return self._row(self.rows[int(index)])

    def _row(self, row: dict[str, Any]) -> Row:
        if self.is_json:
            return self._conversation(row)
        answer = row[self._answer]
        image = row.get("image")
        where: bytes | Path | None = None
        if isinstance(image, dict):
            where = image.get("bytes") or (Path(image["path"]) if image.get("path") else None)
        elif isinstance(image, bytes):
            where = image
        family = str(row.get("family") or "gencad")
        if row.get("views"):
            family = str(row["views"][0]).split(":")[0]
        return Row(where, (("user", None), ("assistant", str(answer))), family, str(answer))

    def _conversation(self, row: dict[str, Any]) -> Row:
        turns: list[tuple[str, str | None]] = []
        for turn in row["conversations"]:
            role = "assistant" if turn["from"] in ("gpt", "assistant") else "user"
            text = turn["value"]
            if role == "user":
                text = text.replace("<image>", "").strip()
            turns.append((role, text))
        if not turns or turns[-1][0] != "assistant":
            raise InputError(f"{self.key}: the conversation of {row.get('id')} does not end with an answer")
        image = row.get("image")
        where = Path(str(self.data.images)) / image if image else None
        return Row(where, tuple(turns), str(row.get("family") or "any"), str(turns[-1][1]))


def open_picture(row: Row) -> Image.Image:
    """Return a row's picture as RGB, transparency on white.

    Raises:
        InputError: if it has none or it cannot be read.
    """
    if row.image is None:
        raise InputError("a sample has no picture")
    try:
        image = Image.open(io.BytesIO(row.image) if isinstance(row.image, bytes) else row.image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image.convert("RGB")
    except (OSError, ValueError) as error:
        name = "" if isinstance(row.image, bytes) else f" {row.image}"
        raise InputError(f"the picture{name} of a sample cannot be read: {error}") from None


def _hint(data: Data) -> str:
    if data.path.endswith((".json", ".jsonl")):
        return "docs/training.md says where LLaVA-Pretrain is published"
    return "build one with: python -m dataset_build.build --source synthetic --count 100000 --out FOLDER"
