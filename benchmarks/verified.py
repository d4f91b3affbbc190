"""Verified samples a second of one core: from a real part's program to its proved script, with and without its picture.

    python -m benchmarks.verified [--data FOLDER] [--seconds 5] [--verify fast]

The parts are read before the clock starts, and are gone through until the time is over, with garbage collected as the
workers of a build do. Rejects count as time and not as samples. Processor seconds of this process. Prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from dataset_build.files import open_files
from dataset_build.make import make
from dataset_build.parts import Part
from dataset_build.readers.rejects import Reject
from dataset_build.verify import MODES

ROOT = Path(__file__).resolve().parent.parent


def measure(named: list[tuple[str, Part]], seconds: float, verify: str, images: bool) -> dict[str, Any]:
    """Return how many samples come out, and how many a processor second."""
    for name, part in named[:5]:
        make(part, name, images, verify=verify)  # imports and caches
    gc.collect()
    gc.disable()
    began, samples, inputs = time.process_time(), 0, 0
    while (spent := time.process_time() - began) < seconds:
        made = [make(part, name, images, verify=verify) for name, part in named]
        samples += sum(not isinstance(row, Reject) for row in made)
        inputs += len(made)
        gc.collect()
    gc.enable()
    return {"samples a second": round(samples / spent, 1), "inputs a second": round(inputs / spent, 1)}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    default = Path(os.environ.get("CADCODER_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verified", description=__doc__)
    parser.add_argument("--data", type=Path, default=default, help="folder that holds deepcad_samples")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor seconds a figure")
    parser.add_argument("--verify", default="fast", choices=MODES, help="how scripts are proved (fast)")
    a = parser.parse_args(argv)
    out: dict[str, Any] = {}
    for kind, folder in (("deepcad-json", "cad_json"), ("deepcad-vec", "cad_vec")):
        path = a.data / "deepcad_samples" / folder
        if not path.exists():
            sys.exit(f"no real samples in {a.data}; give --data FOLDER")
        source = open_files(kind, path, None)
        read = [(source.name(i), source.part(i)) for i in range(len(source))]
        named = [(name, part) for name, part in read if isinstance(part, Part)]
        for images in (False, True):
            key = f"{kind}, {'one picture' if images else 'no picture'}"
            out[key] = {"parts": len(named)} | measure(named, a.seconds, a.verify, images)
    print(json.dumps(out, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
