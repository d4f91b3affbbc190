"""Scripts against true parts: rows with an outcome and measures, and summaries computed from rows.

A row is plain data: ``id``, ``group``, ``outcome`` (as the executor names it), ``message``, ``layers`` of the sandbox,
``metrics`` (None unless the outcome is ``ok``), ``notes`` on the meshes and the fall-backs, and ``key``, a hash of all
that the row depends on, by which an interrupted run knows what it has done.

``score(code, truth)`` measures one script; ``run(tasks, executor)`` many; ``summarise(rows)`` is what they come to;
:class:`~cadcoder.scoring.reward.Reward` is the same for trl's GRPOTrainer.
"""

from __future__ import annotations

from cadcoder.scoring.protocol import PROTOCOLS, Published
from cadcoder.scoring.rows import OURS, RAN, Row, Task, measured, run, score
from cadcoder.scoring.stored import read_rows, run_resumed
from cadcoder.scoring.summary import estimate, summarise, summarise_groups
from cadcoder.scoring.tasks import (
    Truths,
    read_code,
    tasks_from_cadbench,
    tasks_from_folder,
    tasks_from_jsonl,
    unfenced,
)
from cadcoder.scoring.truths import Truth, read_truth

__all__ = [
    "OURS",
    "PROTOCOLS",
    "RAN",
    "Published",
    "Row",
    "Task",
    "Truth",
    "Truths",
    "estimate",
    "measured",
    "read_code",
    "read_rows",
    "read_truth",
    "run",
    "run_resumed",
    "score",
    "summarise",
    "summarise_groups",
    "tasks_from_cadbench",
    "tasks_from_folder",
    "tasks_from_jsonl",
    "unfenced",
]
