"""Pairs scored a second: ours against OpenCascade's booleans for the same pairs and poses.

    python benchmarks/score_speed.py [--pairs N] [--published] [--data FOLDER]

Each pair is a program and a true part. Ours is IoU_best (the whole search), IoU over the four poses of the paper, and
IoU in place, on meshes by manifold3d. OpenCascade's is IoU in place of the exact shapes and the four poses with a
boolean each; with --published the poses go through ``BRepBuilderAPI_GTransform``, which turns every face into NURBS,
as the published evaluator does (seconds to minutes a pair). Times are processor seconds of one process and leave out
reading and meshing, which both ways need once a part. Prints JSON: milliseconds a pair, the ratios, and how far the
mesh is from the exact value.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.geometry import metrics, occ
from cadcoder.geometry.align import Posed
from cadcoder.geometry.rotations import half_turns
from cadcoder.geometry.solid import Solid
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse

ROOT = Path(__file__).resolve().parents[1]


def moved(shape: Any, matrix: np.ndarray, nurbs: bool) -> Any:
    """Return an OpenCascade shape under a similarity (4, 4), exactly or, as published, with every face as NURBS."""
    from OCP.BRepBuilderAPI import BRepBuilderAPI_GTransform, BRepBuilderAPI_Transform
    from OCP.gp import gp_GTrsf, gp_Trsf

    t = gp_Trsf()
    t.SetValues(*(float(v) for v in matrix[:3].ravel()))
    if nurbs:
        return BRepBuilderAPI_GTransform(shape, gp_GTrsf(t), True).Shape()
    return BRepBuilderAPI_Transform(shape, t, True).Shape()


def exact_best(a: Any, b: Any, pa: Posed, pb: Posed, nurbs: bool = False) -> float:
    """Return IoU_best over four poses as the published evaluator goes about it, but with proper rotations only."""
    target = moved(b, pb.matrix, nurbs)
    best = 0.0
    for turn in half_turns():
        m = np.eye(4)
        m[:3, :3] = turn
        best = max(best, occ.exact_iou(moved(a, m @ pa.matrix, nurbs), target))
    return best


def clocked(work: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """Return the work's value and its processor seconds."""
    start = time.process_time()
    value = work(*arguments)
    return value, time.process_time() - start


def fresh(solid: Solid) -> Solid:
    """Return the solid with nothing computed yet."""
    return Solid(solid.vertices, solid.faces)


def measure(a: Any, b: Any, published: bool) -> dict[str, float]:
    """Return one pair's seconds, by way, and its differences from the exact values."""
    ma, mb = occ.mesh_shape(a), occ.mesh_shape(b)
    row = {}
    raw, row["in_place"] = clocked(metrics.iou_raw, fresh(ma), fresh(mb))
    _, row["best"] = clocked(metrics.iou_best, fresh(ma), fresh(mb))
    four, row["four_poses"] = clocked(metrics.iou_paper, fresh(ma), fresh(mb))
    exact, row["occ_in_place"] = clocked(occ.exact_iou, a, b)
    row["difference_in_place"] = abs(raw - exact)
    posed = Posed(ma), Posed(mb)
    exact, row["occ_four_poses"] = clocked(exact_best, a, b, *posed)
    row["difference_four_poses"] = abs(four - exact)
    if published:
        _, row["occ_published"] = clocked(exact_best, a, b, *posed, True)
    return row


def pairs(data: Path, count: int) -> list[tuple[Any, Any]]:
    """Return OpenCascade shapes of the real scripts and their true parts."""
    import cadquery as cq

    folder = data / "gencad_code_dev"
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    found = []
    for row in rows[:count]:
        space: dict[str, Any] = {}
        exec(emit(parse(row["code"]), "gencad"), space)  # our own text, written from the parsed data
        made = cq.Compound.makeCompound(space["solid"].vals()).wrapped
        found.append((made, occ.read_step(folder / row["step"])))
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--published", action="store_true", help="also the way of the published evaluator: slow")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    if not (options.data / "gencad_code_dev" / "samples.jsonl").is_file():
        sys.exit(f"no real samples in {options.data}; give --data FOLDER")
    from OCP.OSD import OSD_ThreadPool

    OSD_ThreadPool.DefaultPool_s(1)
    rows = []
    for a, b in pairs(options.data, options.pairs):
        rows.append(measure(a, b, options.published))
        print(f"{len(rows)}: " + ", ".join(f"{k} {v:.4g}" for k, v in rows[-1].items()), file=sys.stderr)
    mean = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
    result: dict[str, Any] = {
        "pairs": len(rows),
        "ms_a_pair": {k: round(1e3 * v, 2) for k, v in mean.items() if "difference" not in k},
        "pairs_a_second": {k: round(1 / mean[k], 1) for k in ("best", "four_poses", "in_place")},
        "times_faster_in_place": round(mean["occ_in_place"] / mean["in_place"], 1),
        "times_faster_four_poses": round(mean["occ_four_poses"] / mean["four_poses"], 1),
        "times_faster_best": round(mean["occ_four_poses"] / mean["best"], 1),
    }
    if options.published:
        result["times_faster_than_published"] = round(mean["occ_published"] / mean["best"], 1)
    for k in ("difference_in_place", "difference_four_poses"):
        result[k] = {"mean": mean[k], "largest": max(r[k] for r in rows)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
