"""Pairs scored a second: our IoU_best against an OpenCascade implementation of the published algorithm, in one run.

    python benchmarks/score.py [--pairs N] [--data FOLDER]

Each pair is a real script's part and the true part in its STEP file. Ours is IoU_best, four proper rotations on
triangle meshes by manifold3d, from arrays of vertices and faces, with nothing computed before. OpenCascade's is
``cadcoder.geometry.published``, which does what CAD-Coder's published evaluator does, NURBS and all. The check is
IoU_best by OpenCascade on the exact shapes: exact moments, exact faces, the same four rotations. Times are processor
seconds of one process and leave out running, reading and meshing, which both ways need once a part. Prints JSON with
the ratio, and how far the meshes are from the exact value and the published number from its reference.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.geometry import metrics, occ
from cadcoder.geometry.exact import exact_best
from cadcoder.geometry.published import published_iou
from cadcoder.geometry.solid import Solid
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse

ROOT = Path(__file__).resolve().parents[1]


def pairs(data: Path, count: int) -> list[tuple[str, Any, Any]]:
    """Return (id, made, true) as cadquery Shapes of the real scripts and their true parts."""
    import cadquery as cq

    folder = data / "gencad_code_dev"
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    found = []
    for row in rows[:count]:
        space: dict[str, Any] = {}
        exec(emit(parse(row["code"]), "gencad"), space)  # our own text, written from the parsed data
        found.append((row["id"], space["solid"].val(), cq.importers.importStep(str(folder / row["step"])).val()))
    return found


def clocked(work: Any, *arguments: Any) -> tuple[float, float]:
    """Return the work's value and its processor seconds."""
    start = time.process_time()
    value = work(*arguments)
    return value, time.process_time() - start


def fresh(shape: Any) -> Solid:
    """Return the shape's mesh with nothing computed yet."""
    mesh = occ.mesh_shape(shape.wrapped)
    return Solid(mesh.vertices, mesh.faces)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    if not (options.data / "gencad_code_dev" / "samples.jsonl").is_file():
        sys.exit(f"no real samples in {options.data}; give --data FOLDER")
    from OCP.OSD import OSD_ThreadPool

    OSD_ThreadPool.DefaultPool_s(1)
    reference = json.loads((options.data / "gencad_code_dev" / "reference_iou.json").read_text())
    rows: list[dict[str, float]] = []
    for name, a, b in pairs(options.data, options.pairs):
        if not rows:
            metrics.iou_best(fresh(a), fresh(b))  # imports
        row: dict[str, float] = {}
        ours, row["ours"] = clocked(metrics.iou_best, fresh(a), fresh(b))
        _, row["aligned"] = clocked(metrics.iou_aligned, fresh(a), fresh(b))
        old, row["published"] = clocked(published_iou, a, b)
        exact, row["exact"] = clocked(exact_best, a.wrapped, b.wrapped)
        row |= {"difference": abs(ours - exact), "old_difference": abs(old - reference.get(name, np.nan))}
        rows.append(row)
        print(f"{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items()), file=sys.stderr, flush=True)
    mean = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
    result = {
        "pairs": len(rows),
        "pairs_a_second": {k: round(1 / mean[k], 2) for k in ("ours", "aligned", "published", "exact")},
        "times_faster_than_published": round(mean["published"] / mean["ours"], 1),
        "times_faster_than_exact": round(mean["exact"] / mean["ours"], 1),
        "difference_from_exact": {"mean": mean["difference"], "largest": max(r["difference"] for r in rows)},
        "published_within_0.01_of_reference": sum(r["old_difference"] < 0.01 for r in rows),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
