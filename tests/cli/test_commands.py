"""The commands as a person calls them: what is on stdout, what is on stderr, and the exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from cadcoder import __version__
from cadcoder.cli.main import app
from cadcoder.geometry.read import read_solid

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PICTURE = str(EXAMPLES / "spacer_ring.png")
SCRIPT = str(EXAMPLES / "spacer_ring.py")


def call(capfd: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Call a command and return (exit code, stdout, stderr)."""
    try:
        app(list(args))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    out, err = capfd.readouterr()
    return code, out, err


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(capfd, "--version") == (0, f"cadcoder {__version__}\n", "")
    for command in ("generate", "score", "render", "export", "doctor"):
        code, out, err = call(capfd, command, "--help")
        assert (code, err) == (0, "")
        assert "Usage" in out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["generate", "none.png"], "none.png: there is no such file"),
        (["generate", SCRIPT], "it is a text file"),
        (["generate", PICTURE, PICTURE], "add -o DIR/"),
        (["generate", PICTURE, "--size", "big"], "the size 'big' cannot be read"),
        (["generate", PICTURE, "-o", "none/a.py"], "there is no folder none"),
        (["generate", PICTURE, "-o", PICTURE], "is the picture itself"),
        (["export", SCRIPT, "--step", str(EXAMPLES)], "is a folder"),
        (["generate", PICTURE, "--model", "none/here"], "none/here"),
        (["render", "none.py", "-o", "a.png"], "none.py: there is no such file"),
        (["render", PICTURE, "-o", "a.png"], "not a kind of solid"),
        (["export", SCRIPT], "say what to write"),
        (["export", PICTURE, "--stl", "a.stl"], "not text in UTF-8"),
        (["export", os.devnull, "--stl", "a.stl"], "is empty"),
    ],
    ids=lambda v: " ".join(Path(a).name for a in v) if isinstance(v, list) else "",
)
def test_faults_of_a_person_are_one_line(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capfd, *args)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_usage_faults(capfd: pytest.CaptureFixture[str]) -> None:
    for args in (["generate"], ["generate", PICTURE, "--candidates", "0"], ["generate", PICTURE, "--style", "nice"]):
        code, out, err = call(capfd, *args)
        assert (code, out) == (2, "")
        assert "Traceback" not in err


def test_render_and_export(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    targets = {kind: str(tmp_path / f"ring.{kind}") for kind in ("step", "stl", "glb")}
    options = [word for kind, path in targets.items() for word in (f"--{kind}", path)]
    assert call(capfd, "export", SCRIPT, *options) == (0, "", "")
    for kind, path in targets.items():
        unit = 0.001 if kind == "glb" else 1
        assert sorted(read_solid(path).extents / unit) == pytest.approx([32, 80, 80], rel=5e-3)
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for source, picture in zip((SCRIPT, targets["step"]), pictures, strict=True):
        assert call(capfd, "render", source, "-o", str(picture)) == (0, "", "")
    for picture in pictures:
        with Image.open(picture) as drawn:
            assert drawn.size == (448, 448)


def test_a_script_that_fails_is_one_line(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        isatty = staticmethod(lambda: False)
        buffer = io.BytesIO(b"import cadquery as cq\nresult = cq.Workplane('XY').box(1, 1, 0 / 0)\n")

    monkeypatch.setattr(sys, "stdin", Stdin())
    code, out, err = call(capfd, "export", "-", "--stl", str(tmp_path / "a.stl"))
    assert (code, out) == (2, "")
    assert "exception in line 2: ZeroDivisionError" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_reader_that_goes_away() -> None:
    """``cadcoder render ... -o - | head -c 1`` ends without a word."""
    code = "from cadcoder.cli.main import run; run()"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        args = [sys.executable, "-c", code, "render", SCRIPT, "-o", "-"]
        done = subprocess.run(args, stdout=pipe, stderr=subprocess.PIPE, timeout=200, restore_signals=False)
    assert done.returncode == 141
    assert done.stderr == b""


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends a running script and leaves neither a traceback nor a process."""
    script = tmp_path / "endless.py"
    script.write_text("while True: pass\n")
    code = "import sys; from cadcoder.cli.main import run; print('up', file=sys.stderr, flush=True); run()"
    args = [sys.executable, "-c", code, "export", str(script), "--stl", str(tmp_path / "a.stl")]
    child = subprocess.Popen(
        args,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        # Where the tests themselves run in the background, Ctrl-C is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stderr is not None
    assert child.stderr.readline() == b"up\n"
    limit = time.monotonic() + 60
    while str(child.pid) not in subprocess.check_output(["ps", "-eo", "ppid="], text=True).split():
        assert time.monotonic() < limit  # until it starts the executor, which a busy machine takes long for
        time.sleep(0.1)
    time.sleep(1.5)
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert time.monotonic() - start < 5
    assert child.returncode == 130
    assert (out, err) == (b"", b"error: interrupted\n")


def test_doctor_names_what_is_here(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capfd, "doctor")
    for name in ("cadcoder", "torch", "default model", "executor", "drawing"):
        assert f"{name}:" in out
    assert "ok  executor:" in out
    assert "ok  drawing:" in out


def test_score(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "score", SCRIPT, "--truth", SCRIPT, "--json", "-q")
    assert (code, err) == (0, "")
    row = json.loads(out)
    assert row["outcome"] == "ok"
    assert row["metrics"]["iou_best"] > 0.999
