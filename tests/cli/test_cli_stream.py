"""``cadcoder generate --stream``: the draft passes by on stderr, and stdout is what it is without."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_parts import SCRIPT, generate

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PICTURE = EXAMPLES / "spacer_ring.png"


def test_the_draft_on_stderr_and_the_script_on_stdout(capfd: pytest.CaptureFixture[str], checkpoint: Path) -> None:
    plain = generate(capfd, checkpoint, str(PICTURE), "-n", "2")
    assert plain[0] == 0
    assert plain[1] != SCRIPT
    # No terminal, so no colours: exactly what the model wrote.
    assert generate(capfd, checkpoint, str(PICTURE), "-n", "2", "--stream") == (0, plain[1], SCRIPT)


def test_with_a_file_for_the_script(capfd: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.py"
    args = [str(PICTURE), "-o", str(target), "--style", "raw", "--stream"]
    assert generate(capfd, checkpoint, *args) == (0, "", SCRIPT)
    assert target.read_text() == SCRIPT


def test_a_draft_that_does_not_run_is_shown_and_not_printed(
    capfd: pytest.CaptureFixture[str], checkpoint: Path
) -> None:
    code, out, err = generate(capfd, checkpoint, str(PICTURE), "--max-new-tokens", "5", "--stream")
    assert (code, out) == (3, "")
    draft, error = err.rstrip("\n").rsplit("\n", 1)
    assert SCRIPT.startswith(draft)
    assert error.startswith("error: none of the")


def test_several_pictures_are_refused(capfd: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    args = [str(PICTURE), str(EXAMPLES / "guide_rail.png"), "-o", f"{tmp_path}/", "--stream"]
    code, out, err = generate(capfd, checkpoint, *args)
    assert (code, out) == (2, "")
    assert err == "error: --stream shows the draft of one picture; leave it out for several\n"
