from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cadcoder.cli.score import _tasks, score
from cadcoder.errors import CadCoderError, InputError

BOX = "import cadquery as cq\nresult = cq.Workplane().box(1, 2, 4)\n"
RAISES = "raise ValueError('no part today')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three parts to make, two scripts, one of them broken, one never written."""
    import trimesh

    (tmp_path / "made").mkdir()
    (tmp_path / "true").mkdir()
    (tmp_path / "made" / "a.py").write_text(BOX)
    (tmp_path / "made" / "b.py").write_text("result = (")
    for name in "abc":
        trimesh.creation.box((1, 2, 4)).export(tmp_path / "true" / f"{name}.stl")
    return tmp_path


def run_cli(*words: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run ``cadcoder score`` as a person does: a process of its own."""
    start = [sys.executable, "-c", "from cadcoder.cli.main import run; run()", "score"]
    done = subprocess.run([*start, *map(str, words)], capture_output=True, text=True, timeout=500, input=stdin)
    return done.returncode, done.stdout, done.stderr


def test_one_pair_as_json(folder: Path) -> None:
    words = ("--truth", folder / "made" / "a.py", "--json", "--timeout", "60")  # the truth may be a script
    status, out, err = run_cli(folder / "made" / "a.py", *words)
    row = json.loads(out)
    assert (status, err) == (0, "")
    assert list(row)[:4] == ["id", "outcome", "message", "metrics"] and (row["id"], row["outcome"]) == ("a", "ok")
    names = {"iou_best", "iou_aligned", "iou_raw", "iou_box", "cd_deepcad", "cd_cadrille", "size_error"}
    assert names <= row["metrics"].keys() and row["layers"]
    assert row["metrics"]["iou_best"] == pytest.approx(1, abs=1e-6)
    assert row["metrics"]["acc_cmd"] == row["metrics"]["acc_param"] == 1


def test_a_folder_and_its_summary(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = folder / "rows.jsonl"
    words = {"truth": str(folder / "true"), "out": str(rows), "timeout": 60.0}
    score(str(folder / "made"), **words)  # type: ignore[arg-type]
    out = capfd.readouterr().out
    assert len(rows.read_text().splitlines()) == 3
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["id", "outcome"] and [line.split()[0] for line in lines[1:4]] == list("abc")
    assert "VSR (valid)   33.3 %" in out and "invalid ratio 66.7 %" in out and "0.3333 [" in out
    score(str(folder / "made"), as_json=True, **words)  # type: ignore[arg-type]  # all from the kept rows
    parsed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [r.get("outcome") for r in parsed] == ["ok", "syntax_error", "no_result", None]
    assert parsed[-1]["summary"]["outcomes"] == {"ok": 1, "syntax_error": 1, "no_result": 1}
    assert "groups" not in parsed[-1]


def test_cadbench_answers_are_summed_up_by_group(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for run, code in (("r1", BOX), ("r2", RAISES)):
        file = folder / "model" / "mesh" / run / "bench0.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"file_id": "a", "generated": code}))
    score(str(folder / "model"), str(folder / "true"), as_json=True, timeout=60)
    *rows, last = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(r["id"], r["outcome"]) for r in rows] == [
        ("mesh/r1/bench0/a", "ok"),
        ("mesh/r2/bench0/a", "exception"),
    ]
    assert list(last["groups"]) == ["mesh/r1/bench0", "mesh/r2/bench0"]
    assert last["groups"]["mesh/r1/bench0"]["vsr"]["mean"] == 1 and last["summary"]["vsr"]["mean"] == 0.5


def test_a_solid_is_scored_without_a_script(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    score(str(folder / "true" / "a.stl"), str(folder / "true" / "b.stl"))
    out = capfd.readouterr().out
    assert out.startswith("outcome       ok\nIoU best      1.0000\n") and "mirrored      no" in out


def test_it_says_what_it_lacks(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script, truth = str(folder / "made" / "a.py"), str(folder / "true" / "a.stl")
    bad_solid, bad_rows = folder / "bad.step", folder / "bad.jsonl"
    bad_solid.write_text("hello")
    bad_rows.write_text('{"id": "a", "code": ')
    for source, true, reason in (
        (script, None, "--truth FILE"),
        (str(folder / "made"), None, "--truth FOLDER"),
        (script, str(folder / "none.step"), "no such file"),
        (str(folder / "none.py"), truth, "no such file"),
        (str(folder / "made"), str(folder / "none"), "no folder"),
        (str(bad_solid), truth, "STEP"),
        (str(bad_rows), None, "bad.jsonl:1 is not a JSON object"),
        (script, str(folder / "true" / "none.jsonl"), "cannot be read"),
    ):
        with pytest.raises(InputError, match=reason):
            score(source, true)
    assert _tasks(script, str(folder / "true"), False, False)[0].truth == folder / "true" / "a.stl"  # matched by name
    with pytest.raises(InputError, match="cad-coder"):
        score(script, truth, protocol="other")
    with pytest.raises(CadCoderError, match="STEP"):
        score(script, str(bad_solid), as_json=True, timeout=60)
    assert capfd.readouterr().out == ""
