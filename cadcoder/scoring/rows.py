"""One row a script: what became of it, and how near its part is to the true one."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cadcoder.errors import InputError
from cadcoder.scoring.truths import Truth, program_of, read_truth

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.sandbox import Executor, Outcome
    from cadcoder.scoring.protocol import Published

Row: TypeAlias = dict[str, Any]

#: Outcomes in which the script ran to its end and left a shape, valid or not.
RAN = ("ok", "invalid_shape")
#: Our own fault; such rows are left out of every rate.
OURS = "harness_error"
#: Changes with what a row holds, so that rows of another release are made anew.
VERSION = 2


@dataclass(frozen=True)
class Task:
    """One answer and the part that it should make.

    Attributes:
        id: name of the row.
        truth: STEP, BREP or mesh file, or a script (``.py``, run in the executor like any other).
        code: the script; None where there is none, which counts as a failure.
        truth_code: the script that makes the true part, where it is known.
        made: a solid in a file instead of a script.
        group: what the row is summarised with.
    """

    id: str
    truth: Path
    code: str | None
    truth_code: str | None = None
    made: Path | None = None
    group: str = ""

    def key(self, strict_name: str | None, rule: str | None = None) -> str:
        """Return a hash of all that the row depends on."""
        made = _stamp(self.made) if self.made else None
        content = [VERSION, self.id, self.code, _stamp(self.truth), strict_name, rule, self.truth_code, made]
        return hashlib.sha256(json.dumps(content).encode("utf-8", "replace")).hexdigest()[:16]


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
        return f"{path.name}:{stat.st_size}:{stat.st_mtime_ns}"
    except OSError:
        return path.name


def score(
    code: str, truth: Truth | Solid | str | Path, executor: Executor | None = None, strict_name: str | None = None
) -> Row:
    """Run a script and measure what it makes against a true part.

    Args:
        code: the script.
        truth: the true part, or its file (STEP, BREP, a mesh, or a script).
        executor: runs the script; one is started for this call without it, which takes seconds.
        strict_name: the only variable accepted as the result; None for the usual names.

    Returns:
        ``outcome``, ``message``, ``seconds``, ``layers``, ``metrics`` and ``notes``.

    Raises:
        InputError: if there is no such true part.
    """
    if executor is None:
        from cadcoder.sandbox import Executor

        with Executor(workers=1, many=False) as running:
            return score(code, truth, running, strict_name)
    known = read_truth(Path(truth), executor) if isinstance(truth, str | Path) else truth
    return measured(executor.run(code, exports=(), strict_name=strict_name), known, code)


def measured(outcome: Outcome, truth: Truth | Solid, code: str | None = None) -> Row:
    """Return the row of an outcome: see :func:`score`.

    Args:
        outcome: of the executor.
        truth: the true part.
        code: the script, for ACC_cmd and ACC_param where the truth's program is known too.
    """
    from cadcoder.geometry.fallback import solid_or_voxels

    row = _empty(outcome.status, outcome.message, outcome.layers) | {"seconds": round(outcome.seconds, 4)}
    if not outcome.ok:
        return row
    if outcome.vertices is None or outcome.faces is None:
        return row | {"outcome": OURS, "message": "the executor returned no mesh"}
    known = truth if isinstance(truth, Truth) else Truth(truth)
    try:
        return row | _compared(solid_or_voxels(outcome.vertices, outcome.faces), known, code)
    except InputError as error:
        # OpenCascade called it a valid solid, so the fault lies with our meshing, not with the script.
        return row | {"outcome": OURS, "message": f"could not be measured: {error}"}


def _compared(made: Solid, truth: Truth, code: str | None) -> Row:
    """Return ``metrics`` and ``notes`` of two solids."""
    from cadcoder.geometry.fallback import voxel_solid
    from cadcoder.geometry.metrics import compare
    from cadcoder.geometry.overlap import Unsound

    true = truth.solid
    try:
        found = compare(made, true)
    except Unsound:
        made, true = voxel_solid(made), voxel_solid(true)
        found = compare(made, true)
    metrics: dict[str, Any] = dict(found.as_dict())
    if truth.program is not None:
        metrics |= _accuracies(code, truth)
    notes = [*(f"made: {n}" for n in made.notes), *(f"truth: {n}" for n in true.notes)]
    if found.mirrored:
        notes.append("the mirror image of the part fits better")
    return {"metrics": metrics, "notes": notes}


def _accuracies(code: str | None, truth: Truth) -> dict[str, float]:
    """Return ``acc_cmd`` and ``acc_param`` where the script parses and both programs build."""
    from cadcoder.geometry.commands import accuracy, sequence

    program = program_of(code)
    if program is None or truth.program is None:
        return {}
    try:
        commands, parameters = accuracy(sequence(program), sequence(truth.program))
    except InputError:
        return {}
    return {"acc_cmd": commands} | ({} if parameters is None else {"acc_param": parameters})


def run(
    tasks: Sequence[Task],
    executor: Executor,
    strict_name: str | None = None,
    protocol: Published | None = None,
) -> Iterator[Row]:
    """Score tasks and yield a row for each, in order, as they are made. A failure never stops the rest.

    Args:
        tasks: what to score; several answers to one part best come one after another.
        executor: runs the scripts.
        strict_name: the only variable accepted as the result; None for the usual names.
        protocol: also measures each part as a published evaluator does.
    """
    scripts = executor.imap(
        (t.code for t in tasks if t.code is not None and t.made is None), exports=(), strict_name=strict_name
    )
    rule = protocol.name if protocol else None
    truths: dict[tuple[Path, str | None], Truth | str] = {}
    waiting: deque[Row | Future[Row]] = deque()
    for task in tasks:
        head: Row = {
            "id": task.id,
            "group": task.group,
            "key": task.key(strict_name, rule),
            "truth": task.truth.name,
        }
        outcome = None if task.code is None or task.made is not None else next(scripts)
        if task.code is None and task.made is None:
            row = _empty("no_result", "there is no script for this part", executor.layers)
        else:
            known = (task.truth, task.truth_code)
            if known not in truths:
                truths.clear()  # several answers to one part come one after another; no need to hold them all
                try:
                    truths[known] = read_truth(task.truth, executor, task.truth_code)
                except InputError as error:
                    truths[known] = str(error)
            truth = truths[known]
            row = _row(task, outcome, truth, executor)
            if protocol is not None and row["metrics"] is not None and isinstance(truth, Truth):
                waiting.append(protocol.submit(head | row, task, outcome, truth))
                if len(waiting) > 2 * protocol.workers:
                    yield _finished(waiting.popleft())
                continue
        waiting.append(head | row)
        while waiting and (isinstance(waiting[0], dict) or waiting[0].done()):
            yield _finished(waiting.popleft())
    for last in waiting:
        yield _finished(last)


def _finished(row: Row | Future[Row]) -> Row:
    return row if isinstance(row, dict) else row.result()


def _row(task: Task, outcome: Outcome | None, truth: Truth | str, executor: Executor) -> Row:
    if isinstance(truth, str):
        return _empty(OURS, truth, executor.layers)
    if outcome is not None:
        return measured(outcome, truth, task.code)
    from cadcoder.geometry.read import read_solid

    try:
        return _empty("ok", "", ()) | _compared(read_solid(task.made or "", fallback=True), truth, None)
    except InputError as error:
        return _empty("invalid_shape", str(error), ())


def _empty(outcome: str, message: str, layers: Sequence[str]) -> Row:
    return {
        "outcome": outcome,
        "message": message,
        "seconds": 0.0,
        "layers": list(layers),
        "metrics": None,
        "notes": [],
    }
