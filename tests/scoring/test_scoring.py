from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scoring_parts import BOX, BROKEN

from cadcoder import scoring
from cadcoder.errors import InputError
from cadcoder.geometry.solid import Solid
from cadcoder.sandbox import Executor


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
    assert "mean" not in distance and distance["median"] is None and distance["median_valid"] < 0.1
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


def test_intervals_are_seeded_and_hold_the_mean() -> None:
    values = [0.0] * 30 + [1.0] * 70
    found = scoring.estimate(values)
    assert found == scoring.estimate(values)
    assert found["mean"] == pytest.approx(0.7)
    assert 0.59 < found["low"] < 0.63 and 0.77 < found["high"] < 0.81  # the binomial's own interval
    assert scoring.estimate([0.5]) == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_one_script_is_scored_by_a_call(folder: Path, executor: Executor) -> None:
    row = scoring.score(BOX, folder / "true" / "a.stl", executor)
    assert row["outcome"] == "ok" and row["metrics"]["iou_aligned"] == pytest.approx(1, abs=1e-5)
    assert row["metrics"]["mirrored"] is False and row["notes"] == []
    assert scoring.score(BROKEN, folder / "true" / "a.stl", executor)["outcome"] == "syntax_error"
    with pytest.raises(InputError, match="no such file"):
        scoring.score(BOX, folder / "true" / "none.step", executor)


def test_programs_are_compared_where_both_are_known(folder: Path, executor: Executor) -> None:
    (folder / "true" / "a.py").write_text(BOX)  # beside a.stl: the program of the true part
    longer = BOX.replace("box(1, 2, 4)", "box(1, 2, 4.3)")
    (folder / "made" / "b.py").write_text(longer)
    tasks = scoring.tasks_from_folder(folder / "made", folder / "true", partial=True)
    assert [t.truth_code for t in tasks] == [BOX, None, None]
    row = next(scoring.run(tasks[:1], executor))
    assert (row["metrics"]["acc_cmd"], row["metrics"]["acc_param"]) == (1.0, 1.0)
    truth = scoring.read_truth(folder / "true" / "a.stl", executor, BOX)
    near = scoring.measured(executor.run(longer, exports=()), truth, longer)["metrics"]
    assert near["acc_cmd"] == 1 and 0.5 < near["acc_param"] < 1
    unparsed = "import cadquery as cq\nresult = cq.Workplane().sphere(1)\n"
    assert "acc_cmd" not in scoring.measured(executor.run(unparsed, exports=()), truth, unparsed)["metrics"]
    assert "acc_cmd" not in next(scoring.run(tasks[1:2], executor))["metrics"]
    # An answer that lies in the folder of the true parts is not the program of its own truth.
    same = scoring.tasks_from_folder(folder / "true", folder / "true")
    assert [t.truth_code for t in same] == [None] * 4


def test_solids_are_answers_too(folder: Path, executor: Executor) -> None:
    (folder / "true" / "a.stl").rename(folder / "made" / "d.stl")
    (folder / "made" / "a.py").rename(folder / "true" / "a.py")
    (folder / "made" / "c.py").rename(folder / "made" / "c.stl")
    tasks = scoring.tasks_from_folder(folder / "made", folder / "true", partial=True)
    rows = {r["id"]: r for r in scoring.run(tasks, executor)}
    assert rows["d"]["metrics"]["iou_raw"] == pytest.approx(1, abs=1e-5) and rows["d"]["layers"] == []
    assert rows["b"]["outcome"] == "ok"
    assert rows["c"]["outcome"] == "invalid_shape" and "c.stl" in rows["c"]["message"]  # a failed row is a row


def test_fall_backs_and_mirror_images_stand_in_the_row(executor: Executor) -> None:
    steps = "import cadquery as cq\nresult = cq.Workplane().box(4, 2, 1).union(cq.Workplane().box(1, 1, 3)"
    code = steps + ".translate((1, 0.5, 0))).union(cq.Workplane().box(1, 2, 1).translate((-1.5, 1, 0.7)))\n"
    outcome = executor.run(code, exports=())
    assert outcome.vertices is not None and outcome.faces is not None
    true = Solid(outcome.vertices, outcome.faces)
    mirrored = scoring.measured(outcome, true.transformed(np.diag([-1.0, 1.0, 1.0])))
    assert mirrored["metrics"]["mirrored"] is True and any("mirror image" in n for n in mirrored["notes"])
    from cadcoder.geometry.fallback import voxel_solid

    row = scoring.measured(outcome, voxel_solid(true))
    assert row["notes"] == ["truth: voxels"] and row["metrics"]["iou_raw"] > 0.9
    summary = scoring.summarise([{"id": "x", **row}, {"id": "y", **mirrored}])
    assert summary["notes"]["truth: voxels"] == 1 and summary["metrics"]["mirrored"]["mean_valid"]["mean"] == 0.5
