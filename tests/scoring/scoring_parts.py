"""Scripts and folders that the tests of this room share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadcoder.sandbox import Executor

BOX = "import cadquery as cq\nresult = cq.Workplane().box(1, 2, 4)\n"
TURNED = "import cadquery as cq\nresult = cq.Workplane().box(8, 2, 4).translate((5, 5, 5))\n"
BROKEN = "import cadquery as cq\nresult = cq.Workplane().box(1, 2\n"
RAISES = "raise ValueError('no part today')\n"


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    with Executor(workers=2, timeout=60) as running:
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


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real samples; tests that need it are skipped without it."""
    root = Path(__file__).resolve().parents[2]
    found = Path(os.environ.get("CADCODER_DATA", root.parent / "shared" / "data"))
    if not (found / "gencad_code_dev" / "samples.jsonl").is_file():
        pytest.skip("the real samples are not here")
    return found
