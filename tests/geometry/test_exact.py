from __future__ import annotations

import json
from pathlib import Path

import pytest

from cadcoder.geometry import exact, metrics, occ
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse

#: Pairs with plain faces, with arcs, and with moments that differ by less than a millionth.
QUICK = ("00467787", "00790402", "00278384", "00812431")


def test_meshes_agree_with_exact_faces(data: Path) -> None:
    from OCP.OSD import OSD_ThreadPool

    OSD_ThreadPool.DefaultPool_s(1)
    folder = data / "gencad_code_dev"
    for line in (folder / "samples.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["id"] not in QUICK:
            continue
        space: dict[str, object] = {}
        exec(emit(parse(row["code"]), "gencad"), space)  # our own text
        made, truth = space["solid"].val().wrapped, occ.read_step(folder / row["step"])  # type: ignore[attr-defined]
        fast = metrics.iou_best(occ.mesh_shape(made), occ.mesh_shape(truth))
        assert fast == pytest.approx(exact.exact_best(made, truth), abs=5e-4), row["id"]
