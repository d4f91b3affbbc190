"""Rows in a file, written as they are made, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cadcoder.errors import InputError
from cadcoder.scoring.protocol import Published
from cadcoder.scoring.rows import OURS, Row, Task, run
from cadcoder.scoring.tasks import read_lines

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor


def run_resumed(
    tasks: Sequence[Task],
    executor: Executor,
    out: Path,
    strict_name: str | None = None,
    protocol: Published | None = None,
) -> Iterator[tuple[Row, bool]]:
    """Like :func:`~cadcoder.scoring.rows.run`, with the rows kept in a file, of which those valid are not made again.

    Rows of our own faults are tried again. Yields (row, whether it was there already), old ones first.

    Raises:
        InputError: if the file cannot be read or written, or holds something other than rows.
    """
    rule = protocol.name if protocol else None
    kept = {row["key"]: row for row in read_rows(out) if row["outcome"] != OURS} if out.exists() else {}
    keys = [t.key(strict_name, rule) for t in tasks]
    done = [kept[k] for k in keys if k in kept]
    todo = [t for t, k in zip(tasks, keys, strict=True) if k not in kept]
    try:
        with open(out, "w", encoding="utf-8") as file:  # drops what no longer counts, and half a line at the end
            for row in done:
                file.write(json.dumps(row) + "\n")
            file.flush()
            yield from ((row, True) for row in done)
            for row in run(todo, executor, strict_name, protocol):
                file.write(json.dumps(row) + "\n")
                file.flush()
                yield row, False
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; a half line at its end, left by a run that was killed, is dropped.

    Raises:
        InputError: if it cannot be read or another line is not a row.
    """
    rows: list[Row] = []
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not {"id", "key", "outcome", "metrics", "notes"} <= row.keys():
                raise ValueError
            rows.append(row)
        except ValueError:
            if number == len(lines):
                break
            raise InputError(f"{path}:{number} is not a row of scores; name another file") from None
    return rows
