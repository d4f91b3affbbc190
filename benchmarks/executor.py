"""Scripts executed and judged a second, all layers on, against a fresh interpreter a script.

    python -m benchmarks.executor [--repeat 8] [--workers 3] [--reference 6] [--data FOLDER]

Ours: the 25 development scripts, repeated, through one ``Executor``: each is run in a builder, its geometry is read
back and measured by a judge; once without and once with the triangles that a score needs. The reference is what
evaluators do today: ``python -c`` with ``import cadquery``, the script, its volume and validity, one after another and
also as many at once as there are cores; nothing there is safe, and its start is the same work every time. The kinds of
run take turns, so that what else the machine does meets them alike. Beside the rates stands the processor time, user
and system of all processes, that a script takes (on Linux): it says more on a machine that does other things. Prints
JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
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


def processor_seconds() -> float:
    """Return user and system seconds of this process, all that it started and all that those collected (Linux)."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile, and is in the time of who collected it
            continue
        parents[int(name)] = int(fields[1])
        spent[int(name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(spent[pid] for pid in ours)


def processor_ms(run: Callable[[], object], count: int) -> float:
    """Return milliseconds of processor time that each of ``count`` scripts takes in ``run``; NaN off Linux."""
    if not sys.platform.startswith("linux"):
        run()
        return math.nan
    before = processor_seconds()
    run()
    return (processor_seconds() - before) / count * 1e3


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
    spent: dict[str, list[float]] = {"judged": [], "with_triangles": [], "fresh_one_by_one": []}
    statuses: Counter[str] = Counter()
    many = codes * options.repeat
    with Executor(workers=options.workers, timeout=20) as executor:

        def judge(kind: str, mesh: bool) -> None:
            rate, found = ours(executor, many, mesh)
            rates[kind].append(rate)
            statuses.update(found)

        def one_by_one(some: list[str]) -> None:
            rates["fresh_one_by_one"].append(reference(some, 1))

        fresh(codes[0])  # the libraries are read from disk once for both
        ours(executor, codes, True)
        for turn in range(options.rounds):
            some = [codes[(turn * options.reference + i) % len(codes)] for i in range(options.reference)]
            spent["judged"].append(processor_ms(lambda: judge("judged", False), len(many)))
            spent["with_triangles"].append(processor_ms(lambda: judge("with_triangles", True), len(many)))
            alone = functools.partial(one_by_one, some)
            spent["fresh_one_by_one"].append(processor_ms(alone, len(some)))
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
        "processor_ms_a_script": {k: round(median(v), 1) for k, v in spent.items()},
        "times_less_processor_time": round(median(spent["fresh_one_by_one"]) / median(spent["judged"]), 1),
        "times_faster": {
            "judged_than_fresh_one_by_one": round(middle["judged"] / middle["fresh_one_by_one"], 1),
            "judged_than_fresh_all_cores": round(middle["judged"] / middle["fresh_all_cores"], 1),
            "with_triangles_than_fresh_one_by_one": round(middle["with_triangles"] / middle["fresh_one_by_one"], 1),
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
