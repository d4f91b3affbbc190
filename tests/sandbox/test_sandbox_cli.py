"""The sandbox on the command line: the option that weakens it, and what doctor says of each layer."""

import inspect

import pytest
from typer.testing import CliRunner

from cadcoder.cli import doctor
from cadcoder.cli.main import app
from cadcoder.sandbox import policy
from cadcoder.sandbox.layers import LAYERS
from cadcoder.sandbox.supervisor import LayersMissing


@pytest.fixture(autouse=True)
def restored():
    yield
    policy.do_without(())


@pytest.mark.parametrize("command", ["generate", "score", "render", "export", "doctor"])
def test_every_command_that_runs_scripts_has_the_option(command):
    found = next(c for c in app.registered_commands if c.name == command)
    assert "unsafe_sandbox" in inspect.signature(found.callback).parameters


def test_an_unknown_layer_is_refused_with_the_names_that_there_are():
    result = CliRunner().invoke(app, ["export", "x.py", "--step", "x.step", "--unsafe-sandbox", "magic"])
    assert result.exit_code == 2
    words = " ".join(result.output.replace("│", " ").split())
    assert "no sandbox layer magic" in words and "landlock" in words
    assert policy.left_out() == ()


def test_the_option_reaches_the_executor(tmp_path):
    script = tmp_path / "box.py"
    # Without the root file system of its own a script can see that a file is there; Landlock does not hide that.
    script.write_text(
        f"import os\nos.stat({str(script)!r})\nimport cadquery as cq\nresult = cq.Workplane().box(1, 1, 1)\n"
    )
    made = tmp_path / "box.step"
    result = CliRunner().invoke(app, ["export", str(script), "--step", str(made)])
    assert result.exit_code != 0 and not made.exists()
    result = CliRunner().invoke(app, ["export", str(script), "--step", str(made), "--unsafe-sandbox", "root_fs"])
    assert result.exit_code == 0, result.output
    assert made.exists() and "warning: scripts run without the sandbox layers root_fs" in result.stderr


def test_doctor_prints_each_layer_as_working():
    first, *lines = doctor._executor().splitlines()
    assert first.startswith("runs scripts; the sandbox is ")
    assert [line.split()[0] for line in lines] == list(LAYERS)
    assert all("works: " in line or "MISSING: " in line for line in lines)


def test_doctor_prints_why_a_layer_is_missing(monkeypatch, capsys):
    def refuse():
        missing = {"landlock": "Function not implemented"}
        raise LayersMissing("scripts cannot be run", tuple(n for n in LAYERS if n != "landlock"), missing)

    for name in ("_packages", "_torch", "_default_model", "_drawing", "_photos"):
        monkeypatch.setattr(doctor, name, lambda: "left out")
    monkeypatch.setattr(doctor, "_executor", refuse)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "landlock       MISSING: Function not implemented" in result.output
    assert "seccomp        works: " in result.output and "NO  executor:" in result.output
