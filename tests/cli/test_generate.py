"""``cadcoder generate`` whole, with a checkpoint that was trained a moment ago."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from cli_parts import SCRIPT, generate, train_tiny

from cadcoder.geometry.read import read_solid

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PICTURE = EXAMPLES / "spacer_ring.png"


def test_the_script_and_nothing_else(capfd: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    step = tmp_path / "ring.step"
    code, out, err = generate(capfd, checkpoint, str(PICTURE), "--style", "raw", "--step", str(step))
    assert (code, out, err) == (0, SCRIPT, "")
    assert sorted(read_solid(step).extents) == pytest.approx([32, 80, 80], rel=5e-3)


def test_standard_input_to_a_file_in_inches(
    capfd: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        isatty = staticmethod(lambda: False)
        buffer = io.BytesIO(PICTURE.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())
    files = [str(tmp_path / name) for name in ("a.py", "a.stl")]
    args = ["-", "-o", files[0], "--stl", files[1], "--size", "x=2in", "--style", "plain", "-v", "-n", "2"]
    code, out, err = generate(capfd, checkpoint, *args)
    assert (code, out) == (0, "")
    assert "standard input: Part(2 x 2 x 0.8 in" in err
    assert "All lengths in in" in Path(files[0]).read_text()
    assert sorted(read_solid(files[1]).extents) == pytest.approx([0.8 * 25.4, 2 * 25.4, 2 * 25.4], rel=5e-3)


def test_a_folder(capfd: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    pictures, out_dir = tmp_path / "pictures", tmp_path / "scripts"
    pictures.mkdir()
    for name in ("spacer_ring", "guide_rail"):
        shutil.copy(EXAMPLES / f"{name}.png", pictures)
    (pictures / "bad.jpg").write_bytes(b"")
    args = [str(pictures), "-o", f"{out_dir}/", "--style", "raw", "--json"]
    code, out, err = generate(capfd, checkpoint, *args)
    assert code == 2
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(Path(r["picture"]).name, r["outcome"]) for r in rows] == [
        ("bad.jpg", "input_error"),
        ("guide_rail.png", "ok"),
        ("spacer_ring.png", "ok"),
    ]
    assert rows[1]["code"] == SCRIPT
    assert rows[1]["candidates"][0]["outcome"] == "ok"
    assert 0 < rows[1]["candidates"][0]["likeness"] < rows[2]["candidates"][0]["likeness"] <= 1
    assert {"seconds", "model", "seed", "likeness", "chosen"} <= rows[1].keys()
    assert sorted(p.name for p in out_dir.iterdir()) == ["guide_rail.py", "spacer_ring.py"]
    assert "bad.jpg is empty" in err
    assert "1 of 3 pictures failed" in err
    (pictures / "bad.jpg").unlink()
    assert generate(capfd, checkpoint, *args, "--resume") == (0, "", "2 of 2 are done already\n")


def test_a_model_that_writes_nothing_useful(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = train_tiny(tmp_path / "model", "radius = 40\n")
    target = tmp_path / "a.py"
    code, out, err = generate(capfd, model, str(PICTURE), "-o", str(target), "--max-new-tokens", "20")
    assert (code, out) == (3, "")
    assert err.startswith("error: none of the ")
    assert "no result" in err
    assert err.count("\n") == 1
    assert not target.exists()
