"""``rows.jsonl``: written as rows are made, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError, InputError
from cadcoder.files import write_bytes
from cadcoder.scoring import OURS, Row

_NEEDED = {"id", "model", "key", "outcome", "metrics"}


class RowFile:
    """The rows of a folder; one run at a time writes there."""

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        """Lock the folder, and read what is there; rows of our own faults are dropped, to be made again.

        Args:
            out: the folder.
            about: ``suite`` and ``measure``, which must be those of the rows that are there.

        Raises:
            ConfigError: if another run is at work there, or its rows are of another suite.
            InputError: if it cannot be written, or holds something else.
        """
        self.path = out / "rows.jsonl"
        self._write = threading.Lock()
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._lock = open(out / ".lock", "w")  # noqa: SIM115
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another run is at work in {out}; wait for it, or take another --out") from None
        except OSError as error:
            raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
        self._check(out / "run.json", about)
        rows = read_benchmark_rows(self.path) if self.path.exists() else []
        self.rows: dict[str, Row] = {row["key"]: row for row in rows if row["outcome"] != OURS}
        write_bytes(self.path, "".join(json.dumps(row) + "\n" for row in self.rows.values()).encode())
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115

    def _check(self, place: Path, about: Mapping[str, Any]) -> None:
        if place.exists():
            try:
                there = json.loads(place.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                there = None
            if not isinstance(there, dict) or any(there.get(key) != value for key, value in about.items()):
                what = there.get("suite") if isinstance(there, dict) else "something else"
                raise ConfigError(
                    f"{place.parent} holds the rows of {what}, not of {about['suite']}; take another --out"
                )
            return
        write_bytes(place, json.dumps(dict(about)).encode())

    def add(self, row: Row) -> None:
        """Write a row."""
        with self._write:
            self.rows[row["key"]] = row
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file and let others in."""
        self._file.close()
        self._lock.close()


def read_benchmark_rows(path: Path) -> list[Row]:
    """Return the rows of a file; a half line at its end, left by a run that was killed, is dropped.

    Raises:
        InputError: if it cannot be read, or another line is not a row.
    """
    rows: list[Row] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not _NEEDED <= row.keys():
                raise ValueError
            rows.append(row)
        except ValueError:
            if number < len(lines):
                raise InputError(f"{path}:{number} is not a row of the benchmark; take another --out") from None
    return rows
