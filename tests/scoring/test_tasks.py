from __future__ import annotations

import json
from pathlib import Path

import pytest
from scoring_parts import BOX

from cadcoder import scoring
from cadcoder.errors import InputError


def test_jsonl_rows_name_their_parts(folder: Path) -> None:
    path = folder / "answers.jsonl"
    rows = [
        {"id": "a", "code": BOX, "truth": "true/a.stl"},
        {"file_id": "b", "generated": f"Here it is:\n```python\n{BOX}```\nEnjoy.", "truth": "true/b.stl"},
        {"id": "c", "code": None, "step": "true/c.stl"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    tasks = scoring.tasks_from_jsonl(path, None)
    assert [(t.id, t.code) for t in tasks] == [("a", BOX), ("b", BOX), ("c", None)]
    assert scoring.tasks_from_jsonl(path, folder / "true")[0].truth == folder / "true" / "a.stl"
    for line, reason in (
        ("[]", "JSON object"),
        ('{"code": ""}', "id"),
        ('{"id": "x", "code": 3}', "id"),
        ("[" * 100_000, "JSON object"),
        ('{"id": "x", "code": ""}', "truth"),
        ('{"id": "x", "code": "", "truth": "none.step"}', "no true part"),
    ):
        path.write_text(line)
        with pytest.raises(InputError, match=reason):
            scoring.tasks_from_jsonl(path, None)


def test_true_parts_may_be_named_by_a_jsonl_file(folder: Path) -> None:
    index = folder / "parts.jsonl"
    index.write_text(json.dumps({"id": "a", "step": "true/a.stl", "code": BOX}))
    answers = folder / "answers.jsonl"
    answers.write_text(json.dumps({"id": "a", "code": "x = 1"}))
    (task,) = scoring.tasks_from_jsonl(answers, index)
    assert (task.truth, task.truth_code) == (folder / "true" / "a.stl", BOX)
    index.write_text(json.dumps({"id": "a"}))
    with pytest.raises(InputError, match="step"):
        scoring.tasks_from_jsonl(answers, index)
    with pytest.raises(InputError, match="no folder"):
        scoring.Truths(folder / "none")


def cadbench(folder: Path) -> Path:
    """Two modalities, two runs, two benches; in one bench an answer is missing."""
    for modality, run, bench, names in (
        ("mesh", "r1", "bench0", "ab"),
        ("mesh", "r2", "bench0", "a"),
        ("singleview", "r1", "bench1", "a"),
    ):
        file = folder / "model" / modality / run / f"{bench}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps({"file_id": n, "generated": BOX}) + "\n" for n in names))
    (folder / "true").rename(folder / "bench0")
    (folder / "parts" / "bench1").mkdir(parents=True)
    (folder / "bench0").rename(folder / "parts" / "bench0")
    for name in "cd":
        (folder / "parts" / "bench0" / f"{name}.stl").unlink()
    (folder / "parts" / "bench1" / "a.stl").write_bytes((folder / "parts" / "bench0" / "a.stl").read_bytes())
    return folder / "model"


def test_cadbench_answers_are_grouped_and_found_in_their_bench(folder: Path) -> None:
    model = cadbench(folder)
    tasks = scoring.tasks_from_cadbench(model, folder / "parts")
    assert [(t.id, t.code is not None) for t in tasks] == [
        ("mesh/r1/bench0/a", True),
        ("mesh/r1/bench0/b", True),
        ("mesh/r2/bench0/a", True),
        ("mesh/r2/bench0/b", False),  # never answered: a failure
        ("singleview/r1/bench1/a", True),
    ]
    assert tasks[0].truth.parent.name == "bench0" and tasks[4].truth.parent.name == "bench1"
    assert tasks[0].group == "mesh/r1/bench0"
    assert len(scoring.tasks_from_cadbench(model, folder / "parts", partial=True)) == 4
    assert [t.id for t in scoring.tasks_from_cadbench(model / "mesh" / "r1", folder / "parts")] == [
        "bench0/a",
        "bench0/b",
    ]
    (model / "mesh" / "r1" / "bench0.jsonl").write_text(json.dumps({"file_id": "zz", "generated": ""}))
    with pytest.raises(InputError, match="no true part for zz"):
        scoring.tasks_from_cadbench(model, folder / "parts")


def test_groups_have_summaries_of_their_own() -> None:
    rows = [
        {"group": g, "outcome": o, "metrics": {"iou_best": v} if o == "ok" else None, "notes": []}
        for g, o, v in (("x", "ok", 0.5), ("y", "ok", 1.0), ("x", "timeout", 0), ("y", "harness_error", 0))
    ]
    groups = scoring.summarise_groups(rows)
    assert list(groups) == ["x", "y"]
    assert groups["x"]["metrics"]["iou_best"]["mean"]["mean"] == 0.25
    assert (groups["y"]["metrics"]["iou_best"]["mean"]["mean"], groups["y"]["left_out"]) == (1.0, 1)
    assert scoring.summarise([])["vsr"] is None
