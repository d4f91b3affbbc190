from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring_parts import BOX

from cadcoder import scoring
from cadcoder.errors import ConfigError
from cadcoder.sandbox import Executor
from cadcoder.scoring.protocol import Published

#: Real pairs that are quick: equal moments, a ring that NURBS make too large, plain boxes.
QUICK = ("00642208", "00467787", "00618731", "00278384")


@pytest.fixture(scope="module")
def published(executor: Executor) -> Iterator[Published]:
    with Published("cad-coder", executor, workers=2) as running:
        yield running


def test_reference_values_come_out_to_four_decimals(data: Path, executor: Executor, published: Published) -> None:
    folder = data / "gencad_code_dev"
    reference = json.loads((folder / "reference_iou.json").read_text())
    tasks = [t for t in scoring.tasks_from_jsonl(folder / "samples.jsonl", None) if t.id in QUICK]
    rows = list(scoring.run(tasks, executor, protocol=published))
    assert [r["id"] for r in rows] == [t.id for t in tasks]
    for row in rows:
        assert row["metrics"]["iou_cad_coder"] == pytest.approx(reference[row["id"]], abs=1e-4), row["id"]
    ring = next(r["metrics"] for r in rows if r["id"] == "00642208")
    assert ring["iou_best"] - ring["iou_cad_coder"] > 0.005  # the fault that NURBS make


def test_what_it_cannot_measure_is_noted(folder: Path, executor: Executor, published: Published) -> None:
    task = scoring.Task("a", folder / "true" / "a.stl", BOX)
    (row,) = scoring.run([task], executor, protocol=published)
    assert "iou_cad_coder" not in row["metrics"] and row["metrics"]["iou_best"] > 0.999
    assert row["notes"] == ["cad-coder: it needs exact parts (STEP, BREP or a script), not meshes"]
    by_script = folder / "true" / "e.py"
    by_script.write_text(BOX)
    (row,) = scoring.run([scoring.Task("e", by_script, BOX)], executor, protocol=published)
    assert row["metrics"]["iou_cad_coder"] == pytest.approx(1, abs=1e-6)
    assert task.key(None) != task.key(None, "cad-coder")


def test_forged_mass_properties_are_not_taken(folder: Path, executor: Executor, published: Published) -> None:
    forged = BOX + (
        "import OCP.GProp as g\n"
        "class Heavier(g.GProp_GProps):\n"
        "    def Mass(self):\n"
        "        return 80.0\n"
        "g.GProp_GProps = Heavier\n"
    )
    by_script = folder / "true" / "e.py"
    by_script.write_text("import cadquery as cq\nresult = cq.Workplane().box(1, 2, 5)\n")
    honest, false = (
        row["metrics"]["iou_cad_coder"]
        for row in scoring.run(
            [scoring.Task(n, by_script, c) for n, c in (("h", BOX), ("f", forged))], executor, protocol=published
        )
    )
    assert honest == pytest.approx(false, abs=1e-9) and honest < 0.8


def test_there_is_no_other_protocol(executor: Executor) -> None:
    with pytest.raises(ConfigError, match="cad-coder"):
        Published("cad-recode", executor)
