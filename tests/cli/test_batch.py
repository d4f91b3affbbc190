"""Which picture goes where, and the work of ``generate`` with a scripted drafter in place of a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cadcoder.cli.batch import EXPLAIN, Job, plan, run_jobs
from cadcoder.cli.console import Console
from cadcoder.errors import InputError, NoValidScript
from cadcoder.pipeline import Options, Pipeline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RING = (EXAMPLES / "spacer_ring.py").read_text()


class Scripted:
    name = "scripted"
    scripts = (RING,)

    def candidates(self, image: object, n: int = 1, seed: int = 0, max_new_tokens: int = 512) -> tuple[str, ...]:
        return self.scripts


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(Scripted(), workers=1) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for name in ("spacer_ring", "guide_rail"):
        shutil.copy(EXAMPLES / f"{name}.png", made)
    (made / "notes.txt").write_text("no picture")
    return made


def test_places(tmp_path: Path, folder: Path) -> None:
    (one,), several = plan(["a.png"], None, {}, False)
    assert (one.script, several) == (None, False)
    (one,), several = plan(["a.png"], str(tmp_path / "a.py"), {"stl": str(tmp_path / "b.stl")}, False)
    assert (one.script, one.exports, several) == (tmp_path / "a.py", {"stl": tmp_path / "b.stl"}, False)
    (one,), several = plan(["a.png"], str(tmp_path), {"glb": str(tmp_path / "b.glb")}, False)
    assert (one.script, one.exports, several) == (tmp_path / "a.py", {"glb": tmp_path / "b.glb"}, False)
    (one,), several = plan(["x/a.png"], f"{tmp_path}/new/er/", {}, False)
    assert (one.script, several) == (tmp_path / "new/er/a.py", False)
    jobs, several = plan([str(folder)], str(tmp_path / "out"), {"step": str(tmp_path / "steps")}, False)
    assert several
    assert [j.script for j in jobs] == [tmp_path / "out/guide_rail.py", tmp_path / "out/spacer_ring.py"]
    assert [j.exports for j in jobs] == [{"step": tmp_path / f"steps/{n}.step"} for n in ("guide_rail", "spacer_ring")]
    jobs, _ = plan([str(folder)], None, {}, True)
    assert [j.script for j in jobs] == [None, None]


def test_same_stems_are_made_distinct(tmp_path: Path) -> None:
    sources = ["a.png", "x/a.jpg", "y/A.png", "a-2.png", "-", "stdin.png"]
    jobs, _ = plan(sources, str(tmp_path), {}, False)
    assert [j.script.stem for j in jobs if j.script] == ["a", "a-2", "A-3", "a-2-2", "stdin", "stdin-2"]


def test_no_place_to_go(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="add -o DIR/"):
        plan(["a.png", "b.png"], None, {}, False)
    with pytest.raises(InputError, match="is a file"):
        plan(["a.png", "b.png"], str(folder / "notes.txt"), {}, False)
    with pytest.raises(InputError, match="no folder"):
        plan(["a.png"], str(tmp_path / "none" / "a.py"), {}, False)
    with pytest.raises(InputError, match="the picture itself"):
        plan([str(folder / "guide_rail.png")], str(folder / "guide_rail.png"), {}, False)
    with pytest.raises(InputError, match="once"):
        plan(["-", "-"], str(tmp_path), {}, False)
    with pytest.raises(InputError, match="no pictures"):
        plan([str(tmp_path)], None, {}, False)


def test_one_failure_does_not_stop_the_rest(
    pipeline: Pipeline, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "h.png").write_text("no picture")
    out = tmp_path / "out"
    jobs, several = plan([str(folder)], str(out), {"stl": str(out)}, True)
    rows: list[dict[str, object]] = []
    code = run_jobs(
        pipeline, jobs, Options(refine=False, style="plain"), Console(), several, lambda job, row: rows.append(row)
    )
    assert code == 2
    assert sorted(p.name for p in out.iterdir()) == [
        "guide_rail.py",
        "guide_rail.stl",
        "spacer_ring.py",
        "spacer_ring.stl",
    ]
    assert [row["outcome"] for row in rows] == ["ok", "input_error", "ok"]
    assert rows[0]["code"] == (out / "guide_rail.py").read_text()
    assert rows[1]["code"] is None
    json.dumps(rows)
    lines = capsys.readouterr().err.splitlines()
    assert "h.png is not a picture" in lines[0]
    assert lines[-1] == "error: 1 of 3 pictures failed"


def test_none_that_runs(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Scripted, "scripts", ("1/0",))
    rows: list[dict[str, object]] = []
    job = Job(str(EXAMPLES / "spacer_ring.png"), tmp_path / "a.py")
    with pytest.raises(NoValidScript):
        run_jobs(pipeline, [job], Options(), Console(), False, lambda job, row: rows.append(row))
    assert rows[0]["outcome"] == "no_valid_script"
    assert rows[0]["candidates"][0]["outcome"] == "exception"  # type: ignore[index]
    assert run_jobs(pipeline, [job, job], Options(), Console(quiet=True), True, lambda job, row: None) == 3
    assert not (tmp_path / "a.py").exists()


def test_several_pictures_of_one_part_are_one_job(tmp_path: Path, folder: Path) -> None:
    (job,), several = plan([str(folder)], str(tmp_path / "part.py"), {}, False, one_part=True)
    assert not several
    assert job.script == tmp_path / "part.py"
    assert [Path(s).stem for s in job.sources] == ["guide_rail", "spacer_ring"]
    job.load()
    assert len(job.item) == len(job.images) == 2
    with pytest.raises(InputError, match="1 to 8 pictures"):
        plan([str(folder / "spacer_ring.png")] * 9, None, {}, False, one_part=True)
    with pytest.raises(InputError, match="the picture itself"):
        pictures = [str(folder / f"{name}.png") for name in ("guide_rail", "spacer_ring")]
        plan(pictures, str(folder / "spacer_ring.png"), {}, False, one_part=True)


def test_explained_beside_the_script(pipeline: Pipeline, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs, several = plan([str(folder)], str(out), {EXPLAIN: str(out)}, False)
    assert (
        run_jobs(pipeline, jobs, Options(effort=1, style="plain"), Console(True), several, lambda job, row: None) == 0
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "guide_rail.explain.png",
        "guide_rail.py",
        "spacer_ring.explain.png",
        "spacer_ring.py",
    ]
    sheet = np.asarray(Image.open(out / "spacer_ring.explain.png").convert("RGB"))
    assert sheet.shape[1] > 4 * 400
    # The part is found: next to nothing of the last panel is red or blue.
    first, last = sheet[:, :420].astype(int), sheet[:, -405:].astype(int)
    assert (first.min(axis=2) < 200).mean() > 0.05
    assert ((last.max(axis=2) - last.min(axis=2)) > 60).mean() < 0.006
    with pytest.raises(InputError, match="standard input is read but once"):
        plan(["-", str(folder / "spacer_ring.png")], str(out), {EXPLAIN: str(out)}, False)
