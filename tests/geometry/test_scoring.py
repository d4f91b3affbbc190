from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadcoder import scoring
from cadcoder.cli.score import _tasks, score
from cadcoder.errors import InputError
from cadcoder.sandbox import Executor

BOX = "import cadquery as cq\nresult = cq.Workplane().box(1, 2, 4)\n"
TURNED = "import cadquery as cq\nresult = cq.Workplane().box(8, 2, 4).translate((5, 5, 5))\n"
BROKEN = "import cadquery as cq\nresult = cq.Workplane().box(1, 2\n"
RAISES = "raise ValueError('no part today')\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(workers=2, timeout=20) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four parts to make, three scripts (one right, one that turns and scales, one broken), one never written."""
    import trimesh

    (tmp_path / "made").mkdir()
    (tmp_path / "true").mkdir()
    for name, code in (("a", BOX), ("b", TURNED), ("c", BROKEN)):
        (tmp_path / "made" / f"{name}.py").write_text(code)
    for name in "abcd":
        trimesh.creation.box((1, 2, 4)).export(tmp_path / "true" / f"{name}.stl")
    return tmp_path


def test_a_folder_is_scored_with_failures_as_nought(folder: Path, executor: Executor) -> None:
    tasks = scoring.tasks_from_folder(folder / "made", folder / "true")
    rows = {r["id"]: r for r in scoring.run(tasks, executor)}
    assert {k: r["outcome"] for k, r in rows.items()} == {
        "a": "ok",
        "b": "ok",
        "c": "syntax_error",
        "d": "no_result",
    }
    assert rows["a"]["metrics"]["iou_raw"] == pytest.approx(1, abs=1e-5)
    assert rows["b"]["metrics"]["iou_best"] == pytest.approx(1, abs=1e-5)
    assert rows["b"]["metrics"]["iou_raw"] == 0
    assert rows["c"]["metrics"] is None and rows["a"]["layers"]
    summary = scoring.summarise(rows.values())
    assert (summary["count"], summary["vsr"]["mean"]) == (4, 0.5)
    best = summary["metrics"]["iou_best"]
    assert best["mean"]["mean"] == pytest.approx(0.5, abs=1e-5)
    assert best["mean_valid"]["mean"] == pytest.approx(1, abs=1e-5)
    assert best["mean"]["low"] < 0.5 < best["mean"]["high"]
    assert best["median"] == pytest.approx(0.5, abs=1e-5) and best["n"] == 2
    distance = summary["metrics"]["cd_cadrille"]  # a distance has no worst value to stand for a failure
    assert "mean" not in distance and distance["median"] is None and distance["median_valid"] < 1e-2
    assert summary["invalid_ratio"]["mean"] == 0.5


def test_without_the_missing_ones_only_scripts_count(folder: Path) -> None:
    assert [t.id for t in scoring.tasks_from_folder(folder / "made", folder / "true", partial=True)] == ["a", "b", "c"]
    (folder / "made" / "stray.py").write_text(BOX)
    with pytest.raises(InputError, match="stray"):
        scoring.tasks_from_folder(folder / "made", folder / "true")


def test_rows_are_kept_and_an_interrupted_run_goes_on(folder: Path, executor: Executor, tmp_path: Path) -> None:
    tasks = scoring.tasks_from_folder(folder / "made", folder / "true")
    out = tmp_path / "rows.jsonl"
    running = scoring.run_resumed(tasks, executor, out)
    next(running), next(running)
    running.close()
    with open(out, "a") as file:
        file.write('{"id": "c", "ke')  # killed in the middle of a line
    again = list(scoring.run_resumed(tasks, executor, out))
    assert [(row["id"], old) for row, old in again] == [("a", True), ("b", True), ("c", False), ("d", False)]
    (folder / "made" / "b.py").write_text(BOX)  # a changed script is run again
    tasks = scoring.tasks_from_folder(folder / "made", folder / "true")
    assert {row["id"]: old for row, old in scoring.run_resumed(tasks, executor, out)} == {
        "a": True,
        "b": False,
        "c": True,
        "d": True,
    }
    assert len(scoring.read_rows(out)) == 4


def test_a_truth_that_cannot_be_read_is_our_fault_and_left_out(folder: Path, executor: Executor) -> None:
    (folder / "true" / "a.stl").unlink()
    (folder / "true" / "a.step").write_text("hello")
    rows = list(scoring.run(scoring.tasks_from_folder(folder / "made", folder / "true"), executor))
    assert rows[0]["outcome"] == "harness_error" and "STEP" in rows[0]["message"]
    assert (scoring.summarise(rows)["count"], scoring.summarise(rows)["left_out"]) == (3, 1)


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
        ('{"id": "x", "code": ""}', "truth"),
        ('{"id": "x", "code": "", "truth": "none.step"}', "no true part"),
    ):
        path.write_text(line)
        with pytest.raises(InputError, match=reason):
            scoring.tasks_from_jsonl(path, None)


def test_intervals_are_seeded_and_hold_the_mean() -> None:
    values = [0.0] * 30 + [1.0] * 70
    found = scoring.estimate(values)
    assert found == scoring.estimate(values)
    assert found["mean"] == pytest.approx(0.7)
    assert 0.59 < found["low"] < 0.63 and 0.77 < found["high"] < 0.81  # the binomial's own interval
    assert scoring.estimate([0.5]) == {"mean": 0.5, "low": 0.5, "high": 0.5}


def run_cli(*words: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run ``cadcoder score`` as a person does: a process of its own."""
    start = [sys.executable, "-c", "from cadcoder.cli.main import run; run()", "score"]
    done = subprocess.run([*start, *map(str, words)], capture_output=True, text=True, timeout=500, input=stdin)
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_one_pair(folder: Path) -> None:
    status, out, err = run_cli(folder / "made" / "b.py", "--truth", folder / "true" / "b.stl", "--json")
    row = json.loads(out)
    assert (status, err) == (0, "")
    assert list(row)[:4] == ["id", "outcome", "message", "metrics"] and (row["id"], row["outcome"]) == ("b", "ok")
    assert {"iou_best", "iou_aligned", "iou_raw", "iou_box", "cd_deepcad", "cd_cadrille"} <= row["metrics"].keys()
    assert row["metrics"]["iou_best"] == pytest.approx(1, abs=1e-5) and row["layers"]
    status, out, err = run_cli("-", "--truth", folder / "made" / "a.py", stdin=RAISES)  # the truth may be a script
    assert (status, err) == (0, "") and out.startswith("outcome       exception") and "no part today" in out


def test_the_command_prints_a_folder_and_its_summary(folder: Path) -> None:
    rows = folder / "rows.jsonl"
    words = (folder / "made", "--truth", folder / "true", "--out", rows)
    status, out, err = run_cli(*words)
    assert (status, err) == (0, "") and len(rows.read_text().splitlines()) == 4
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["id", "outcome"] and [line.split()[0] for line in lines[1:5]] == list("abcd")
    assert "VSR (valid)   50.0 %" in out and "0.5000 [" in out
    status, out, _ = run_cli(*words, "--json")  # all from the kept rows
    parsed = [json.loads(line) for line in out.splitlines()]
    assert [r.get("outcome") for r in parsed] == ["ok", "ok", "syntax_error", "no_result", None]
    assert parsed[-1]["summary"]["outcomes"] == {"ok": 2, "syntax_error": 1, "no_result": 1}


def test_the_command_says_what_it_lacks(folder: Path) -> None:
    script, truth = str(folder / "made" / "a.py"), str(folder / "true" / "a.stl")
    for source, true, reason in (
        (script, None, "--truth FILE"),
        (str(folder / "made"), None, "--truth FOLDER"),
        (script, str(folder / "none.step"), "no such file"),
        (str(folder / "none.py"), truth, "no such file"),
        (str(folder / "made"), str(folder / "none"), "no folder"),
        (script, str(folder / "made"), None),
    ):
        if reason is None:
            assert _tasks(source, true, False, False)[0].truth == folder / "made" / "a.py"  # matched by name
            continue
        with pytest.raises(InputError, match=reason):
            score(source, true)
    bad = folder / "true" / "bad.step"
    bad.write_text("hello")
    status, out, err = run_cli(script, "--truth", bad)
    assert status == 2 and "STEP" in err and err.count("\n") == 1
