"""Self-test of IoU_aligned: every real part against itself, moved, turned and scaled at random.

    python benchmarks/self_test.py [--poses 20] [--data FOLDER] [--workers 2] [--part NAME]

The parts are all in the folder of real samples: STEP files, DeepCAD's JSON and vectors, Fusion 360's JSON. Each must
score at least 0.999 in every pose. Prints JSON: parts, poses, the lowest value and whose, how many are below, and the
files that hold no part. Exit code 1 if any is below.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.metrics import iou_aligned
from cadcoder.geometry.solid import FloatArray, Solid

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the workshop's readers

ENOUGH = 0.999


def similarity(rng: np.random.Generator) -> FloatArray:
    """Return a random proper rotation, scale (0.02 to 50) and translation as (4, 4)."""
    from scipy.spatial.transform import Rotation

    m = np.eye(4)
    scale = float(np.exp(rng.uniform(-4, 4)))
    m[:3, :3] = Rotation.random(random_state=rng).as_matrix() * scale
    m[:3, 3] = rng.normal(size=3) * 100
    return m


def parts(data: Path) -> list[Path]:
    """Return the files of all parts."""
    found = [*data.glob("gencad_code_dev/steps/*.step"), *data.glob("fusion360_samples/**/*.step")]
    found += [*data.glob("deepcad_samples/cad_json/**/*.json"), *data.glob("deepcad_samples/cad_vec/**/*.h5")]
    found += data.glob("fusion360_samples/**/*.json")
    return sorted(found)


def load(path: Path) -> Solid:
    """Return the solid of a file.

    Raises:
        InputError: if it holds none.
    """
    from cadcoder.geometry.build import build
    from cadcoder.geometry.read import read_solid
    from cadcoder.program.types import Program

    if path.suffix == ".step":
        return read_solid(path)
    if path.suffix == ".h5":
        from dataset_build.readers import deepcad_vec as reader
    else:
        from dataset_build.readers import deepcad_json as reader  # type: ignore[no-redef]
    program = reader.read(path)
    if not isinstance(program, Program):
        raise InputError(str(program))
    return build(program)


def test(job: tuple[Path, int]) -> dict[str, Any]:
    """Return a part's lowest value over the poses and the seconds for each, or why it is no part."""
    path, poses = job
    try:
        part = load(path)
    except InputError as error:
        return {"path": str(path), "why": str(error)}
    rng = np.random.default_rng(0)
    start = time.process_time()
    values = []
    for _ in range(poses):
        try:
            values.append(iou_aligned(part, part.transformed(similarity(rng))))
        except InputError as error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)
            values.append(0.0)
    return {"path": str(path), "lowest": min(values), "seconds": (time.process_time() - start) / max(1, poses)}


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poses", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part", default="", help="only files whose path holds this")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    jobs = [(p, options.poses) for p in parts(options.data) if options.part in str(p)]
    if not jobs:
        sys.exit(f"no real samples in {options.data}; give --data FOLDER")
    rows = []
    with ProcessPoolExecutor(options.workers) as pool:
        for row in pool.map(test, jobs):
            rows.append(row)
            if row.get("lowest", 1.0) < ENOUGH:
                print(f"{row['path']}: {row['lowest']:.5f}", file=sys.stderr, flush=True)
    tried = [r for r in rows if "lowest" in r]
    worst = min(tried, key=lambda r: r["lowest"])
    below = [r["path"] for r in tried if r["lowest"] < ENOUGH]
    result = {
        "parts": len(tried),
        "poses": options.poses,
        "lowest": worst["lowest"],
        "whose": Path(worst["path"]).name,
        "below": len(below),
        "ms_a_pair": round(1e3 * float(np.mean([r["seconds"] for r in tried])), 1),
        "no_part": {Path(r["path"]).name: r["why"][:100] for r in rows if "why" in r},
    }
    print(json.dumps(result, indent=1))
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
