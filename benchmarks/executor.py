"""Scripts executed and judged a second, all layers on, against a fresh interpreter a script.

    python -m benchmarks.executor [--repeat 8] [--workers 3] [--reference 6] [--data FOLDER]

Ours: the 25 development scripts, repeated, through one ``Executor``: each is run in a builder, its geometry is read
back and measured by a judge; once without and once with the triangles that a score needs. The reference is what
evaluators do today: ``python -c`` with ``import cadquery``, the script, its volume and validity, one after another and
also as many at once as there are cores; nothing there is safe, and its start is the same work every time. The kinds of
run take turns, so that what else the machine does meets them alike. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cadcoder.sandbox import Executor

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = (
    "import sys, cadquery as cq\nspace = {}\nexec(sys.stdin.read(), space)\nshape = space['solid'].val()\n"
    "print(shape.Volume(), shape.isValid())\n"
)


def scripts(data: Path) -> list[str]:
    """Return the development scripts."""
    path = data / "gencad_code_dev" / "samples.jsonl"
    if not path.is_file():
        sys.exit(f"no real samples in {data}; give --data FOLDER")
    return [json.loads(line)["code"] for line in path.read_text().splitlines()]


def fresh(code: str) -> bool:
    """Run one script as today's evaluators do."""
    done = subprocess.run([sys.executable, "-c", REFERENCE], input=code, capture_output=True, text=True)
    return done.returncode == 0


def reference(codes: list[str], at_once: int) -> float:
    """Return scripts a second of the reference."""
    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        worked = list(pool.map(fresh, codes))
    if not any(worked):
        sys.exit("no script works in a fresh interpreter")
    return len(codes) / (time.perf_counter() - start)


def ours(executor: Executor, codes: list[str], mesh: bool) -> tuple[float, Counter[str]]:
    """Return scripts a second of the executor, and the outcomes."""
    start = time.perf_counter()
    statuses = Counter(str(outcome.status) for outcome in executor.imap(codes, exports=(), mesh=mesh))
    return len(codes) / (time.perf_counter() - start), statuses


def median(values: list[float]) -> float:
    """Return the middle one."""
    return sorted(values)[len(values) // 2]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=8, help="How often the 25 scripts are run in a round.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workers", type=int, default=3, help="One more than cores: a child waits for the kernel, too."
    )
    parser.add_argument("--reference", type=int, default=6, help="Scripts of the reference in a round.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    codes = scripts(options.data)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rates: dict[str, list[float]] = {"judged": [], "with_triangles": [], "fresh_one_by_one": [], "fresh_all_cores": []}
    with Executor(workers=options.workers, timeout=20) as executor:
        fresh(codes[0])  # the libraries are read from disk once for both
        ours(executor, codes, True)
        for turn in range(options.rounds):
            rate, statuses = ours(executor, codes * options.repeat, False)
            rates["judged"].append(rate)
            rates["with_triangles"].append(ours(executor, codes * options.repeat, True)[0])
            some = [codes[(turn * options.reference + i) % len(codes)] for i in range(options.reference)]
            rates["fresh_one_by_one"].append(reference(some, 1))
            rates["fresh_all_cores"].append(reference(some, cores))
            print({k: round(v[-1], 2) for k, v in rates.items()}, file=sys.stderr)
        layers = list(executor.layers)
    middle = {k: median(v) for k, v in rates.items()}
    result: dict[str, Any] = {
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "layers": len(layers),
        "outcomes": dict(statuses),
        "scripts_a_second": {k: round(v, 2) for k, v in middle.items()},
        "times_faster": {
            "judged_than_fresh_one_by_one": round(middle["judged"] / middle["fresh_one_by_one"], 1),
            "judged_than_fresh_all_cores": round(middle["judged"] / middle["fresh_all_cores"], 1),
            "with_triangles_than_fresh_one_by_one": round(middle["with_triangles"] / middle["fresh_one_by_one"], 1),
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
