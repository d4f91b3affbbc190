"""From answers to rows: every script runs in the executor and is measured against the true part.

A row is that of :mod:`cadcoder.scoring` (``outcome``, ``metrics``, ``notes``, ...) with the answer's side: ``model``,
``prompt``, ``tokens_in``, ``cost`` and so on, see :func:`head`. Outcomes are the executor's, and those of
:data:`eval.answers.NO_SCRIPT` for answers without a script, which count as failures.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadcoder.errors import InputError
from cadcoder.scoring import OURS, Row, Task, Truth, measured, read_truth
from eval.answers import Answer
from eval.prompting import Prompt
from eval.shapes import count_faces, save_mesh, sharp_length
from eval.specs import Spec
from eval.suites import Item, Suite

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor, Outcome
    from cadcoder.scoring import Published

#: Changes with what a row holds, so that rows of another release are made anew.
VERSION = 1
#: Edges count as rounded if at least this share of their length is no longer sharp, and the part is still the part:
#: its IoU with the part before is at least this.
ROUNDED, STILL = 0.9, 0.6
#: True parts and outcomes held at once.
HELD = 64


def row_key(suite: Suite, item: Item, spec: Spec, prompt: Prompt | None, repeat: int, protocol: str | None) -> str:
    """Return a hash of all that a row depends on, but for the answer: by it a run knows what it has done."""
    later = [suite.turns[g].sha for g in item.turns] if suite.turns else []
    options = {k: v for k, v in spec.options.items() if k not in _NOT_ASKED}
    content = [
        *(VERSION, suite.measure, item.name, [stamp(p) for p in item.pictures], stamp(item.truth), item.truth_code),
        *(spec.kind, spec.provider, spec.name, sorted(options.items()), prompt.sha if prompt else None, later),
        *(repeat, protocol),
    ]
    return hashlib.sha256(json.dumps(content).encode("utf-8", "replace")).hexdigest()[:24]


#: Options that change how calls are made, and not what is answered.
_NOT_ASKED = {"label", "at_once", "per_minute", "timeout", "tries", "price", "key_env", "base_url", "device"}


def stamp(path: Path) -> str:
    """Return a hash of a file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def head(item: Item, spec: Spec, prompt: Prompt | None, repeat: int, key: str) -> dict[str, Any]:
    """Return the part of a row that is known before the answer."""
    return {
        "id": item.name,
        "part": item.id,
        "group": item.group,
        "model": spec.label,
        "kind": spec.kind,
        "spec": spec.text,
        "prompt": prompt.name if prompt else None,
        "prompt_sha": prompt.sha if prompt else None,
        "picture_sha": [stamp(p) for p in item.pictures],
        "repeat": repeat,
        "key": key,
        "truth": item.truth.name,
    }


class Scorer:
    """Makes rows; safe to use from several threads."""

    def __init__(
        self, suite: Suite, executor: Executor, meshes: Path | None = None, protocol: Published | None = None
    ) -> None:
        """Take the means.

        Args:
            suite: says how parts are measured.
            executor: runs the scripts.
            meshes: folder for the report's 3D views; None for none.
            protocol: also measures each part as a published evaluator does.
        """
        self.suite, self.executor, self.meshes, self.protocol = suite, executor, meshes, protocol
        self._lock = threading.Lock()
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()
        self._truths: OrderedDict[tuple[Path, str | None], tuple[Truth | str, dict[str, Any]]] = OrderedDict()

    def row(self, item: Item, known: Mapping[str, Any], answer: Answer) -> Row:
        """Return the row of an answer."""
        truth, about = self._truth(item)
        cost = None if answer.cost is None else str(answer.cost)
        row: Row = {
            **known,
            **about,
            "code": answer.code,
            "answer_seconds": answer.seconds,
            "calls": list(answer.calls),
            "tokens_in": answer.tokens_in,
            "tokens_out": answer.tokens_out,
            "cost": cost,
            "tries": answer.tries,
            "trail": [dict(step) for step in answer.trail],
        }
        if isinstance(truth, str):
            return row | _none(OURS, truth, answer)
        if answer.code is None or answer.outcome:
            return row | _none(answer.outcome or "no_code", answer.message, answer)
        outcome = self._run(answer.code)
        found = measured(outcome, truth, answer.code)
        if self.suite.measure == "rounded":
            found = self._rounded(answer, outcome, found)
        if self.protocol is not None and found["metrics"] is not None:
            task = Task(item.name, item.truth, answer.code, item.truth_code)
            value, why = self.protocol.measure(task, outcome, truth)
            if value is None:
                found["notes"] = [*found["notes"], f"{self.protocol.name}: {why}"]
            else:
                found["metrics"] = found["metrics"] | {self.protocol.metric: value}
        mesh = self._kept(outcome, answer.code)
        return row | found | {"notes": [*found["notes"], *answer.notes], "mesh": mesh}

    def _rounded(self, answer: Answer, outcome: Outcome, found: Row) -> Row:
        """Add whether the edges of the first turn's part are rounded in the last one's."""
        before = self._run(answer.first or "")
        if not before.ok or before.vertices is None or before.faces is None:
            return found | {
                "outcome": before.status if before.status != "ok" else OURS,
                "message": f"the first turn's script makes no part to round: {before.message}",
                "metrics": None,
            }
        if found["metrics"] is None or outcome.vertices is None or outcome.faces is None:
            return found
        from cadcoder.geometry.fallback import solid_or_voxels

        length = sharp_length(before.vertices, before.faces)
        left = sharp_length(outcome.vertices, outcome.faces)
        share = max(0.0, 1.0 - left / length) if length > 0 else None
        same = measured(outcome, Truth(solid_or_voxels(before.vertices, before.faces)))["metrics"] or {}
        kept = float(same.get("iou_aligned", 0.0))
        metrics = found["metrics"] | {"rounded_share": share, "iou_before": kept}
        metrics["rounded"] = None if share is None else float(share >= ROUNDED and kept >= STILL)
        return found | {"metrics": metrics}

    def _run(self, code: str) -> Outcome:
        """Run a script; equal scripts of a run are run once, unless the fault was ours."""
        with self._lock:
            if code in self._outcomes:
                self._outcomes.move_to_end(code)
                return self._outcomes[code]
        outcome = self.executor.run(code, exports=())
        if outcome.status != OURS:
            with self._lock:
                self._outcomes[code] = outcome
                if len(self._outcomes) > HELD:
                    self._outcomes.popitem(last=False)
        return outcome

    def _truth(self, item: Item) -> tuple[Truth | str, dict[str, Any]]:
        """Return the true part, or why it cannot be read; and what rows say of it."""
        key = (item.truth, item.truth_code)
        with self._lock:
            if key in self._truths:
                self._truths.move_to_end(key)
                return self._truths[key]
        about: dict[str, Any] = {"faces": None, "truth_mesh": None}
        truth: Truth | str
        try:
            truth = read_truth(item.truth, self.executor, item.truth_code)
            about["faces"] = count_faces(truth.solid.vertices, truth.solid.faces)
            if self.meshes is not None:
                name = f"t{stamp(item.truth)}.npz"
                if not (self.meshes / name).exists():
                    save_mesh(self.meshes / name, truth.solid.vertices, truth.solid.faces)
                about["truth_mesh"] = name
        except InputError as error:
            truth = str(error)
        with self._lock:
            self._truths[key] = (truth, about)
            if len(self._truths) > HELD:
                self._truths.popitem(last=False)
        return truth, about

    def _kept(self, outcome: Outcome, code: str) -> str | None:
        """Keep what a script made for the report, and return its name."""
        if self.meshes is None or not outcome.ok or outcome.vertices is None or outcome.faces is None:
            return None
        name = f"m{hashlib.sha256(code.encode()).hexdigest()[:16]}.npz"
        if not (self.meshes / name).exists():
            save_mesh(self.meshes / name, outcome.vertices, outcome.faces)
        return name


def _none(outcome: str, message: str, answer: Answer) -> Row:
    """Return the row's side of an answer that made nothing."""
    return {
        "outcome": outcome,
        "message": message,
        "seconds": 0.0,
        "layers": [],
        "metrics": None,
        "notes": list(answer.notes),
        "mesh": None,
    }
