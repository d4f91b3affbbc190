"""What to score: tasks from a folder of answers, a JSONL file, or CADBench's layout, and the true parts for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError
from cadcoder.scoring.rows import Task
from cadcoder.scoring.truths import read_code

__all__ = ["Truths", "read_code", "tasks_from_cadbench", "tasks_from_folder", "tasks_from_jsonl", "unfenced"]


def unfenced(text: str) -> str:
    """Return the first fenced block of a chat answer, or the text itself where there is none."""
    found = re.search(r"```[\w+-]*[ \t]*\n(.*?)(?:```|\Z)", text, flags=re.DOTALL)
    return found.group(1) if found else text


class Truths:
    """The true parts: a folder of files, searched with its subfolders, or a JSONL file that names them.

    In a folder a part is ``NAME.step`` and so on; exact kinds go before meshes, meshes before scripts, and a script
    beside an exact part is taken for its program. A JSONL row has ``id`` (or ``file_id``), ``step`` (or ``truth``),
    relative to the file, and may have ``code``, the program.

    Raises:
        InputError: if there is no such folder or file, or a row is no such row.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.parts: dict[str, list[Path]] = {}
        self._codes: dict[str, str] = {}
        if source.is_dir():
            for path in sorted(source.rglob("*"), key=lambda p: (_rank(p), str(p))):
                if _rank(path) < len(_suffixes()) and path.is_file():
                    self.parts.setdefault(path.stem, []).append(path)
        elif source.suffix.lower() == ".jsonl":
            self._read(source)
        else:
            raise InputError(f"there is no folder {source}")

    def _read(self, source: Path) -> None:
        for number, line in enumerate(read_lines(source), start=1):
            row = _row(line, f"{source}:{number}")
            name, part, code = row.get("id", row.get("file_id")), row.get("step", row.get("truth")), row.get("code")
            if name is None or not isinstance(part, str) or not isinstance(code, str | None):
                raise InputError(f"{source}:{number} needs an id and the true part's file as step")
            self.parts[str(name)] = [source.parent / part]
            if code is not None:
                self._codes[str(name)] = code

    def find(self, name: str, within: str = "") -> Path | None:
        """Return the true part of that name, rather one in a subfolder called ``within``."""
        found = self.parts.get(name, [])
        return next((p for p in found if within and within in p.parts), found[0] if found else None)

    def program(self, name: str, part: Path, answer: Path | None = None) -> str | None:
        """Return the script that makes a true part, if it is known; never the answer itself."""
        if name in self._codes:
            return self._codes[name]
        beside = part.with_suffix(".py")
        if part.suffix.lower() == ".py" or not beside.is_file() or (answer and beside.samefile(answer)):
            return None
        return read_code(beside)

    def names(self, within: str = "") -> list[str]:
        """Return all names, or those in a subfolder called ``within``."""
        return [n for n, paths in self.parts.items() if not within or any(within in p.parts for p in paths)]


def tasks_from_jsonl(path: Path, truths: Path | None) -> list[Task]:
    """Return the tasks of a JSONL file: ``id`` (or ``file_id``), ``code`` (or ``generated``), ``truth`` (or ``step``).

    Paths are relative to the file; ``truth_code`` is the program of the true part, for ACC. Where ``truths`` is given
    the true part is looked up there by its id.

    Raises:
        InputError: if a line is not such a row or a truth is missing.
    """
    index = Truths(truths) if truths is not None else None
    tasks = []
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        row = _row(line, where)
        name, code = _answer(row, where)
        named, program = row.get("truth", row.get("step")), row.get("truth_code")
        if not isinstance(named, str | None) or not isinstance(program, str | None):
            raise InputError(f"{where} needs its truth as text")
        if index is not None:
            truth = index.find(name)
            program = index.program(name, truth) if truth is not None and program is None else program
        elif named is None:
            raise InputError(f"{where} names no truth; add one, or give --truth FOLDER")
        else:
            truth = path.parent / named
        if truth is None or not truth.is_file():
            raise InputError(f"{where}: there is no true part {truth or f'for {name} in {truths}'}")
        tasks.append(Task(name, truth, code, program))
    if not tasks:
        raise InputError(f"{path} holds no rows")
    return tasks


def tasks_from_folder(folder: Path, truths: Path, partial: bool = False) -> list[Task]:
    """Return the tasks of a folder of answers, matched to the true parts by the name without its ending.

    Args:
        folder: scripts, ``NAME.py``, or where there is none of a name a solid, ``NAME.step`` and so on.
        truths: true parts, see :class:`Truths`; each is one task, so that a script never written is a failure.
        partial: leave out the true parts that have no answer.

    Raises:
        InputError: if a folder is missing or empty, or an answer has no true part.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    answers: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: (p.suffix.lower() != ".py", _rank(p), p.name)):
        if _rank(path) < len(_suffixes()):
            answers.setdefault(path.stem, path)
    index = Truths(truths)
    lost = sorted(answers.keys() - index.parts.keys())
    if lost:
        raise InputError(f"{len(lost)} of {len(answers)} answers have no true part in {truths}: {', '.join(lost[:3])}")
    if not answers:
        raise InputError(f"there are no scripts (*.py) or solids in {folder}")
    tasks = []
    for name in sorted(answers if partial else index.parts):
        truth, answer = index.parts[name][0], answers.get(name)
        script = answer is not None and answer.suffix.lower() == ".py"
        tasks.append(
            Task(
                name,
                truth,
                unfenced(read_code(answer)) if answer is not None and script else None,
                index.program(name, truth, answer),
                made=None if script else answer,
            )
        )
    return tasks


def tasks_from_cadbench(folder: Path, truths: Path, partial: bool = False) -> list[Task]:
    """Return the tasks of answers in CADBench's layout, ``MODEL/MODALITY/rK/BENCH.jsonl`` or a folder inside it.

    Rows hold ``file_id`` and ``generated``. The group is the path of the file without its ending, the id that and
    ``file_id``. True parts are found by name, rather in a subfolder called as the bench (``bench0/NAME.stl``); where
    there is one, parts in it without an answer are failures.

    Args:
        folder: the answers.
        truths: true parts, see :class:`Truths`.
        partial: leave out the true parts that have no answer.

    Raises:
        InputError: if there are no such files, a line is not such a row, or an answer has no true part.
    """
    files = sorted(folder.rglob("*.jsonl"))
    if not files:
        raise InputError(f"there are no scripts (*.py) and no answers (*.jsonl) in {folder}")
    index = Truths(truths)
    tasks = []
    for file in files:
        group, bench = file.relative_to(folder).with_suffix("").as_posix(), file.stem
        seen = set()
        for number, line in enumerate(read_lines(file), start=1):
            name, code = _answer(_row(line, f"{file}:{number}"), f"{file}:{number}")
            truth = index.find(name, bench)
            if truth is None:
                raise InputError(f"{file}:{number}: there is no true part for {name} in {truths}")
            seen.add(name)
            tasks.append(Task(f"{group}/{name}", truth, code, index.program(name, truth), group=group))
        if not partial:
            for name in sorted(set(index.names(bench)) - seen):
                truth = index.find(name, bench)
                assert truth is not None
                tasks.append(Task(f"{group}/{name}", truth, None, group=group))
    if not tasks:
        raise InputError(f"the answers in {folder} hold no rows")
    return tasks


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank.

    Raises:
        InputError: if it cannot be read as UTF-8.
    """
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _row(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a JSON object")
    return row


def _answer(row: Mapping[str, Any], where: str) -> tuple[str, str | None]:
    """Return (id, script or None) of an answer's row."""
    name, code = row.get("id", row.get("file_id")), row.get("code", row.get("generated"))
    if name is None or not isinstance(code, str | None):
        raise InputError(f"{where} needs an id, and its code as text")
    return str(name), unfenced(code) if code is not None else None


def _suffixes() -> tuple[str, ...]:
    from cadcoder.geometry.read import SUFFIXES

    return (*SUFFIXES, ".py")


def _rank(path: Path) -> int:
    suffixes = _suffixes()
    return suffixes.index(path.suffix.lower()) if path.suffix.lower() in suffixes else len(suffixes)
