"""Parquet tables of scripts and pictures as a source, such as GenCAD-Code.

Format: the Parquet that the Hugging Face Hub holds of CADCODER/GenCAD-Code (Doris et al., "CAD-Coder", 2025): columns
``image`` (struct of ``bytes`` and ``path``), ``deepcad_id``, ``cadquery``, and ``token_count``, ``prompt`` and
``hundred_subset``, which are not needed; files ``train-00000-of-00005.parquet``. Other columns can be named.

The rows are read batch by batch, so that memory does not grow with a row group; every process keeps its place in the
file, which serves the order in which a build asks.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from dataset_build.parts import Part
from dataset_build.readers.containers import shown
from dataset_build.readers.images import checked_picture
from dataset_build.readers.rejects import MAX_BYTES, Reason, Refused, Reject
from dataset_build.scripts import script_part

#: Names of the columns that are read, as published.
COLUMNS = {"image": "image", "code": "cadquery", "id": "deepcad_id"}
SPLITS = ("train", "validation", "test")
BATCH = 64
#: A file cannot state more rows than it has bits.
_ROWS_A_BYTE = 8


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows of Parquet files.

    Attributes:
        root: folder of the files.
        files: their names, in order.
        ends: number of rows in all files up to and with each; a file that cannot be read counts as one.
        faults: why a file cannot be read, empty for the others.
        columns: as :data:`COLUMNS`.
        keep_pictures: whether the picture of a row takes the place of a drawing of ours.
        count: rows to read.
    """

    root: str
    files: tuple[str, ...]
    ends: tuple[int, ...]
    faults: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    keep_pictures: bool
    count: int

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Return the file and the row."""
        file, row = self._place(index)
        return f"{shown(self.files[file])}/{row}"

    def part(self, index: int) -> Part | Reject:
        """Read the row."""
        file, row = self._place(index)
        try:
            if self.faults[file]:
                raise Refused(Reason.UNREADABLE, "", self.faults[file])
            return self._part(_row(str(Path(self.root) / self.files[file]), self._wanted(), row), self.name(index))
        except Refused as e:
            return e.at(self.name(index))

    def _part(self, row: dict[str, Any], name: str) -> Part:
        columns = dict(self.columns)
        code, key = row[columns["code"]], row.get(columns["id"])
        if not isinstance(code, str | bytes):
            raise Refused(Reason.MALFORMED, columns["code"], f"a {type(code).__name__}, not a text")
        label = shown(str(key)) if isinstance(key, str | int) and len(str(key)) <= 200 else name
        part = script_part(code, f"gencad-code/{label}")
        if not self.keep_pictures:
            return part
        image = row.get(columns["image"])
        data = image.get("bytes") if isinstance(image, dict) else image
        if not isinstance(data, bytes) or len(data) > MAX_BYTES:
            raise Refused(Reason.BAD_PICTURE, columns["image"], "the row holds no picture")
        return replace(part, picture=checked_picture(data, columns["image"]), framed=True)

    def _place(self, index: int) -> tuple[int, int]:
        file = bisect.bisect_right(self.ends, index)
        return file, index - (self.ends[file - 1] if file else 0)

    def _wanted(self) -> tuple[str, ...]:
        names = dict(self.columns)
        return tuple(names[k] for k in (("code", "id", "image") if self.keep_pictures else ("code", "id")))


def open_tables(
    path: Path,
    count: int | None,
    columns: dict[str, str] | None = None,
    split: str = "train",
    keep_pictures: bool = False,
) -> Tables:
    """Return the rows of a Parquet file, or of the files of a folder.

    Args:
        path: the file or the folder.
        count: at most so many rows.
        columns: names that differ from :data:`COLUMNS`.
        split: which files of a folder to read, where they are named by their split.
        keep_pictures: see :class:`Tables`.

    Raises:
        ConfigError: if there is no such file, or a column is missing.
    """
    import pyarrow.parquet as pq

    unknown = sorted(set(columns or {}) - set(COLUMNS))
    if unknown:
        raise ConfigError(f"--columns: {', '.join(unknown)} cannot be named; there are {', '.join(COLUMNS)}")
    named = COLUMNS | (columns or {})
    needed = [named["code"], *([named["image"]] if keep_pictures else [])]
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if any(f.name.startswith(tuple(f"{s}-" for s in SPLITS)) for f in files) and path.is_dir():
        files = [f for f in files if f.name.startswith(f"{split}-")]
    if not files:
        raise ConfigError(f"--input: {path} holds no Parquet file of the split {split!r}")
    root = path.parent if path.is_file() else path
    rows, faults = [], []
    for file in files:
        try:
            meta = pq.ParquetFile(file)
            held, names = meta.metadata.num_rows, meta.schema_arrow.names
            if not 0 <= held <= _ROWS_A_BYTE * file.stat().st_size:
                raise ValueError(f"it states {held} rows")
        except Exception as e:  # pyarrow's errors have no common parent, and a hostile file meets many
            rows.append(1)
            faults.append(f"not a whole Parquet file: {' '.join(str(e).split())[:150]}")
            continue
        missing = [n for n in needed if n not in names]
        if missing:
            raise ConfigError(
                f"--input: {file} has no column {' or '.join(missing)} but {', '.join(names[:20])}; name it with "
                f"--columns code=NAME,image=NAME,id=NAME"
            )
        rows.append(held)
        faults.append("")
    ends = tuple(itertools.accumulate(rows))
    if not ends[-1]:
        raise ConfigError(f"--input: {path} holds no row")
    relative = tuple(f.relative_to(root).as_posix() for f in files)
    total = ends[-1] if count is None else min(count, ends[-1])
    return Tables(
        str(root.resolve()), relative, ends, tuple(faults), tuple(sorted(named.items())), keep_pictures, total
    )


class _Reader:
    """A place in one file that runs forwards."""

    def __init__(self, path: str, columns: tuple[str, ...]) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, buffer_size=2**20)
        held = set(self._file.schema_arrow.names)
        self._columns = [c for c in columns if c in held]
        self._groups = list(
            itertools.accumulate(self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups))
        )
        self._batches: Iterator[Any] = iter(())
        self._group = -1
        self._first = 0
        self._rows: list[Any] = []

    def row(self, number: int) -> dict[str, Any]:
        group = bisect.bisect_right(self._groups, number)
        if group >= len(self._groups):
            raise Refused(Reason.TRUNCATED, "", "the file states more rows than its row groups hold")
        if group != self._group or number < self._first:
            self._batches = self._file.iter_batches(BATCH, row_groups=[group], columns=self._columns)
            self._group, self._rows = group, []
            self._first = self._groups[group - 1] if group else 0
        while number >= self._first + len(self._rows):
            self._first += len(self._rows)
            batch = next(self._batches, None)
            if batch is None:
                raise Refused(Reason.TRUNCATED, "", "the row group holds fewer rows than it states")
            self._rows = [batch.slice(i, 1) for i in range(batch.num_rows)]
        return dict(self._rows[number - self._first].to_pylist()[0])


@lru_cache(maxsize=4)
def _reader(path: str, columns: tuple[str, ...]) -> _Reader:
    return _Reader(path, columns)


def _row(path: str, columns: tuple[str, ...], number: int) -> dict[str, Any]:
    try:
        return _reader(path, columns).row(number)
    except Refused:
        raise
    except Exception as e:
        _reader.cache_clear()  # its place is lost
        raise Refused(Reason.UNREADABLE, "", " ".join(str(e).split())[:200] or type(e).__name__) from e
