"""Answers that others gave, in CADBench's layout: read as a model of their own, and written from our rows.

``MODEL/MODALITY/rK/BENCH.jsonl``: rows with ``file_id`` and ``generated``; K is the repeat. A folder of ``NAME.py`` is
read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cadcoder.errors import InputError
from cadcoder.files import write_bytes
from cadcoder.scoring import Row, read_code
from eval.answers import Answer
from eval.extract import extract
from eval.suites import Item


class Stored:
    """Answers of a folder; a part without one is a failure."""

    def __init__(self, folder: Path, repeat: int = 0) -> None:
        """Read the folder.

        Raises:
            InputError: if it holds no answers, or a line is not one.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        self.found: dict[tuple[str, str], str] = {}
        for file in sorted(folder.rglob("*.jsonl")):
            if _repeat(file.relative_to(folder.parent)) in (None, repeat):
                self._read(file)
        if not self.found and repeat == 0:
            self.found = {("", path.stem): read_code(path) for path in sorted(folder.rglob("*.py"))}
        if not self.found:
            raise InputError(f"{folder} holds no answers (MODALITY/rK/BENCH.jsonl, or NAME.py)")

    def _read(self, file: Path) -> None:
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                name, text = str(row["file_id"]), row["generated"]
                if not isinstance(text, str | None):
                    raise TypeError("generated is no text")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{file}:{number} needs file_id and generated: {error}") from None
            if text is not None:
                self.found[file.stem, name] = text

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield every part with its stored answer."""
        for item in items:
            bench, _, name = item.id.rpartition("/")
            places = ((bench, name), ("", item.id), *((b, n) for b, n in self.found if not bench and n == item.id))
            text = next((self.found[place] for place in places if place in self.found), None)
            if text is None:
                yield item, Answer(None, "empty", "there is no answer for this part")
                continue
            code = extract(text) or text
            yield item, Answer(code)

    def close(self) -> None:
        """Nothing is open."""


def _repeat(path: Path) -> int | None:
    found = next((re.fullmatch(r"r(\d+)", part) for part in path.parts[:-1] if re.fullmatch(r"r\d+", part)), None)
    return int(found.group(1)) if found else None


def repeats_of(folder: Path) -> list[int]:
    """Return the repeats that a folder of answers holds; [0] where it has no ``rK``."""
    found = {_repeat(file.relative_to(folder.parent)) for file in folder.rglob("*.jsonl")}
    return sorted(r for r in found if r is not None) or [0]


def write_cadbench(rows: Sequence[Row], modality: str, suite: str, folder: Path) -> list[Path]:
    """Write rows in CADBench's layout; return the files.

    The bench is the part's group, or the suite where it has none; answers without a script have an empty
    ``generated``.
    """
    files: dict[Path, list[str]] = {}
    for row in rows:
        bench = row["group"] or suite
        place = folder / _safe(row["model"]) / _safe(modality) / f"r{row['repeat']}" / f"{_safe(bench)}.jsonl"
        name = row["part"].rpartition("/")[2] if row["group"] else row["part"]
        files.setdefault(place, []).append(json.dumps({"file_id": name, "generated": row["code"] or ""}))
    for place, lines in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, ("\n".join(sorted(lines)) + "\n").encode())
    return sorted(files)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.()=+-]+", "_", name).strip("_.") or "_"
