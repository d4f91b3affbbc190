"""A short soak: the long one is ``python -m benchmarks.soak``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_nothing_is_lost_when_the_supervisor_is_killed_in_the_middle(tmp_path):
    out = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "benchmarks.soak", "--count", "120", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["lost"] == report["doubled"] == 0 and report["wrong"] == []
    assert 60 <= report["killed"]["rows"] < 120 and report["killed"]["left"] == 0
    assert sorted(json.loads(line)["n"] for line in out.read_text().splitlines()) == list(range(120))
    # Once more, and a row that was half written when the machine went down: it is made again, the others are not.
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:100]) + lines[100][:20])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["lost"] == report["doubled"] == 0
    assert out.read_text().splitlines(keepends=True)[:100] == lines[:100]
