"""Scripts against true parts: one row a script with its outcome and measures, and summaries computed from rows.

A row is plain data: ``id``, ``outcome`` (as the executor names it), ``message``, ``layers`` of the sandbox,
``metrics`` (None unless the outcome is ``ok``), ``notes`` on the meshes, and ``key``, a hash of the script, the
truth and the rule, by which an interrupted run knows what it has done.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cadcoder.errors import InputError

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.sandbox import Executor, Outcome

Row: TypeAlias = dict[str, Any]

#: Outcomes in which the script ran to its end and left a shape, valid or not.
RAN = ("ok", "invalid_shape")
#: Our own fault; such rows are left out of every rate.
OURS = "harness_error"
#: Resamples of the bootstrap, and the interval's two tails.
RESAMPLES, TAILS = 5000, (2.5, 97.5)


@dataclass(frozen=True)
class Task:
    """One script and the part that it should make.

    Attributes:
        id: name of the row.
        truth: STEP, BREP or mesh file, or a script (``.py``, run in the executor like any other).
        code: the script; None where there is none, which counts as a failure.
    """

    id: str
    truth: Path
    code: str | None

    def key(self, strict_name: str | None) -> str:
        """Return a hash of all that the row depends on."""
        try:
            stat = self.truth.stat()
            stamp = f"{self.truth.name}:{stat.st_size}:{stat.st_mtime_ns}"
        except OSError:
            stamp = self.truth.name
        text = json.dumps([self.id, self.code, stamp, strict_name])
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def unfenced(text: str) -> str:
    """Return the first fenced block of a chat answer, or the text itself where there is none."""
    found = re.search(r"```[\w+-]*[ \t]*\n(.*?)(?:```|\Z)", text, flags=re.DOTALL)
    return found.group(1) if found else text


def score(code: str, truth: Solid, executor: Executor, strict_name: str | None = None) -> Row:
    """Run a script and measure what it makes against a true solid.

    Args:
        code: the script.
        truth: the true part.
        executor: runs the script.
        strict_name: the only variable accepted as the result; None for the usual names.

    Returns:
        ``outcome``, ``message``, ``seconds``, ``layers``, ``metrics`` and ``notes``.
    """
    return measured(executor.run(code, exports=(), strict_name=strict_name), truth)


def measured(outcome: Outcome, truth: Solid) -> Row:
    """Return the row of an outcome: see :func:`score`."""
    from cadcoder.geometry.mesh import solid_from_triangles
    from cadcoder.geometry.metrics import compare

    row: Row = {
        "outcome": outcome.status,
        "message": outcome.message,
        "seconds": round(outcome.seconds, 4),
        "layers": list(outcome.layers),
        "metrics": None,
        "notes": [],
    }
    if not outcome.ok:
        return row
    if outcome.vertices is None or outcome.faces is None:
        return row | {"outcome": OURS, "message": "the executor returned no mesh"}
    try:
        made = solid_from_triangles(outcome.vertices, outcome.faces)
        row["notes"] = [*(f"made: {n}" for n in made.notes), *(f"truth: {n}" for n in truth.notes)]
        row["metrics"] = compare(made, truth).as_dict()
    except InputError as error:
        # OpenCascade called it a valid solid, so the fault lies with our meshing, not with the script.
        return row | {"outcome": OURS, "message": f"could not be measured: {error}", "metrics": None}
    return row


def read_truth(path: Path, executor: Executor) -> Solid:
    """Return the true solid of a file; a script is run in the executor.

    Raises:
        InputError: if there is none.
    """
    if path.suffix.lower() != ".py":
        from cadcoder.geometry.read import read_solid

        return read_solid(path)
    from cadcoder.geometry.mesh import solid_from_triangles

    outcome = executor.run(read_code(path), exports=())
    if not outcome.ok or outcome.vertices is None or outcome.faces is None:
        raise InputError(f"{path}: the true script makes no solid ({outcome.status}: {outcome.message})")
    return solid_from_triangles(outcome.vertices, outcome.faces)


def read_code(path: Path) -> str:
    """Return the text of a script.

    Raises:
        InputError: if it cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a script: {error}") from None


def run(tasks: Sequence[Task], executor: Executor, strict_name: str | None = None) -> Iterator[Row]:
    """Score tasks and yield a row for each, in order, as they are made. A failure never stops the rest."""
    scripts = executor.imap((t.code for t in tasks if t.code is not None), exports=(), strict_name=strict_name)
    truths: dict[Path, Solid | str] = {}
    for task in tasks:
        head = {"id": task.id, "key": task.key(strict_name), "truth": task.truth.name}
        if task.code is None:
            yield head | _empty("no_result", "there is no script for this part", executor.layers)
            continue
        outcome = next(scripts)
        if task.truth not in truths:
            truths.clear()  # several answers to one part come one after another; no need to hold them all
            try:
                truths[task.truth] = read_truth(task.truth, executor)
            except InputError as error:
                truths[task.truth] = str(error)
        truth = truths[task.truth]
        if isinstance(truth, str):
            yield head | _empty(OURS, truth, executor.layers)
        else:
            yield head | measured(outcome, truth)


def _empty(outcome: str, message: str, layers: Sequence[str]) -> Row:
    return {
        "outcome": outcome,
        "message": message,
        "seconds": 0.0,
        "layers": list(layers),
        "metrics": None,
        "notes": [],
    }


def run_resumed(
    tasks: Sequence[Task], executor: Executor, out: Path, strict_name: str | None = None
) -> Iterator[tuple[Row, bool]]:
    """Like :func:`run`, with the rows kept in a file, of which those still valid are not made again.

    Rows of our own faults are tried again. Yields (row, whether it was there already), old ones first.

    Raises:
        InputError: if the file cannot be read or written, or holds something other than rows.
    """
    kept = {row["key"]: row for row in read_rows(out) if row["outcome"] != OURS} if out.exists() else {}
    done = [kept[k] for t in tasks if (k := t.key(strict_name)) in kept]
    todo = [t for t in tasks if t.key(strict_name) not in kept]
    try:
        with open(out, "w", encoding="utf-8") as file:  # drops what no longer counts, and half a line at the end
            for row in done:
                file.write(json.dumps(row) + "\n")
            file.flush()
            yield from ((row, True) for row in done)
            for row in run(todo, executor, strict_name):
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
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not {"id", "key", "outcome", "metrics"} <= row.keys():
                raise ValueError
            rows.append(row)
        except ValueError:
            if number == len(lines):
                break
            raise InputError(f"{path}:{number} is not a row of scores; name another file") from None
    return rows


def tasks_from_jsonl(path: Path, truths: Path | None) -> list[Task]:
    """Return the tasks of a JSONL file: ``id`` (or ``file_id``), ``code`` (or ``generated``), ``truth`` (or ``step``).

    Paths are relative to the file. Where a row names no truth, or ``truths`` is given, the truth is ``truths``/ID.*.

    Raises:
        InputError: if a line is not such a row or a truth is missing.
    """
    tasks = []
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}:{number}"
        try:
            row: Mapping[str, Any] = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError
        except ValueError:
            raise InputError(f"{where} is not a JSON object") from None
        name = row.get("id", row.get("file_id"))
        code = row.get("code", row.get("generated"))
        named = row.get("truth", row.get("step"))
        if name is None or not isinstance(code, str | None) or not isinstance(named, str | None):
            raise InputError(f"{where} needs an id, and its code and truth as text")
        if truths is None and named is None:
            raise InputError(f"{where} names no truth; add one, or give --truth FOLDER")
        truth = find_truth(truths, str(name)) if truths is not None else path.parent / str(named)
        if truth is None or not truth.is_file():
            raise InputError(f"{where}: there is no true part {truth or f'for {name} in {truths}'}")
        tasks.append(Task(str(name), truth, unfenced(code) if code is not None else None))
    if not tasks:
        raise InputError(f"{path} holds no rows")
    return tasks


def tasks_from_folder(folder: Path, truths: Path, partial: bool = False) -> list[Task]:
    """Return the tasks of a folder of scripts, matched to the true parts by the name without its ending.

    Args:
        folder: scripts, ``NAME.py``.
        truths: true parts, ``NAME.step`` and so on; each is one task, so that a script never written is a failure.
        partial: leave out the true parts that have no script.

    Raises:
        InputError: if a folder is missing or empty, or a script has no true part.
    """
    for place in (folder, truths):
        if not place.is_dir():
            raise InputError(f"there is no folder {place}")
    scripts = {p.stem: p for p in sorted(folder.glob("*.py"))}
    parts = {p.stem: p for p in reversed(_candidates(truths))}
    lost = sorted(scripts.keys() - parts.keys())
    if lost:
        raise InputError(f"{len(lost)} of {len(scripts)} scripts have no true part in {truths}: {', '.join(lost[:3])}")
    if not scripts:
        raise InputError(f"there are no scripts (*.py) in {folder}")
    names = sorted(scripts if partial else parts)
    return [Task(n, parts[n], read_code(scripts[n]) if n in scripts else None) for n in names]


def find_truth(folder: Path, name: str) -> Path | None:
    """Return the true part of that name in a folder; exact kinds go before meshes, meshes before scripts."""
    return next((p for p in _candidates(folder, f"{name}.*") if p.stem == name), None)


def _candidates(folder: Path, pattern: str = "*") -> list[Path]:
    from cadcoder.geometry.read import SUFFIXES

    order = {suffix: rank for rank, suffix in enumerate((*SUFFIXES, ".py"))}
    found = [p for p in folder.iterdir() if p.suffix.lower() in order and p.match(pattern)]
    return sorted(found, key=lambda p: (order[p.suffix.lower()], p.name))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Return what rows come to.

    Returns:
        ``count`` (rows that count), ``left_out`` (our own faults), ``outcomes`` (how often each), ``vsr`` (share that
        ran and left a shape), ``vsr_strict`` (share that left a valid closed solid), and for each measure in
        ``metrics``: ``mean`` with failures as 0 (overlaps only), ``mean_valid``, ``median_valid``. Every mean is a
        dictionary of ``mean``, ``low`` and ``high``, a 95 % bootstrap interval over the rows.
    """
    everything = list(rows)
    counted = [r for r in everything if r["outcome"] != OURS]
    summary: dict[str, Any] = {
        "count": len(counted),
        "left_out": len(everything) - len(counted),
        "outcomes": dict(Counter(r["outcome"] for r in everything).most_common()),
        "vsr": None,
        "vsr_strict": None,
        "metrics": {},
    }
    if not counted:
        return summary
    summary["vsr"] = estimate([float(r["outcome"] in RAN) for r in counted])
    summary["vsr_strict"] = estimate([float(r["outcome"] == "ok") for r in counted])
    names = list(dict.fromkeys(name for r in counted if r["metrics"] for name in r["metrics"]))
    for name in names or ["iou_best"]:
        valid = [float(r["metrics"][name]) for r in counted if r["metrics"]]
        entry: dict[str, Any] = {}
        if name.startswith("iou"):
            entry["mean"] = estimate([float(r["metrics"][name]) if r["metrics"] else 0.0 for r in counted])
        entry["mean_valid"] = estimate(valid) if valid else None
        entry["median_valid"] = statistics.median(valid) if valid else None
        summary["metrics"][name] = entry
    return summary


def estimate(values: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Return the mean of the values with a 95 % percentile bootstrap interval: ``mean``, ``low``, ``high``."""
    import numpy as np

    data = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // len(data))  # resamples at a time
    means = np.concatenate(
        [
            data[rng.integers(0, len(data), (min(step, RESAMPLES - i), len(data)))].mean(axis=1)
            for i in range(0, RESAMPLES, step)
        ]
    )
    low, high = np.percentile(means, TAILS)
    return {"mean": float(data.mean()), "low": float(low), "high": float(high)}
