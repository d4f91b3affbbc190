"""Seconds of ``cadcoder generate``: from the command's start to the script, and a picture in a folder.

    python benchmarks/generate.py [PICTURE] [--folder FOLDER] [--runs N] [--candidates N]

Each run is a fresh process, as a person starts it. Memory is the peak of the whole family of processes, each shared
page counted once (Linux: PSS). Prints JSON: the best and the median run, and the machine's load before, since a busy
machine says little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_COMMAND = [sys.executable, "-c", "from cadcoder.cli.main import run; run()", "generate"]


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for at in found:
        try:
            for task in Path(f"/proc/{at}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def memory_mb(pid: int) -> float:
    """Return the proportional set size of a process and its descendants in MB; 0 where the system does not say."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def clocked(arguments: list[str], every: float | None = None) -> dict[str, float]:
    """Run the command and return its seconds to the first byte of its output and to its end, and its peak memory.

    Args:
        arguments: of ``cadcoder generate``.
        every: seconds between two looks at the memory, which cost a little time themselves; None does not look.
    """
    start = time.perf_counter()
    child = subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    over, peak = threading.Event(), [0.0]

    def watch() -> None:
        while every is not None and not over.wait(every):
            peak[0] = max(peak[0], memory_mb(child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert child.stdout is not None
    child.stdout.read(1)
    first = time.perf_counter() - start
    child.stdout.read()
    code = child.wait()
    end = time.perf_counter() - start
    over.set()
    watcher.join()
    if code:
        sys.exit(f"cadcoder generate {' '.join(arguments)} ended with exit code {code}")
    return {"to_script": first, "to_end": end, "peak_mb": peak[0]}


def summary(runs: list[dict[str, float]], share: int = 1) -> dict[str, Any]:
    """Return the best and the median of each figure over the runs, a ``share`` of each time."""
    found: dict[str, Any] = {}
    for key in ("to_script", "to_end"):
        values = [run[key] / share for run in runs]
        found[key] = {"best": round(min(values), 2), "median": round(statistics.median(values), 2)}
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=ROOT / "examples" / "plate_with_holes.png")
    parser.add_argument("--folder", type=Path, help="also time all pictures of a folder in one command")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=1)
    options = parser.parse_args()
    wanted = ["--candidates", str(options.candidates)]
    result: dict[str, Any] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    single = [str(options.picture), *wanted]
    result["seconds"] = summary([clocked(single) for _ in range(options.runs)])
    result["peak_mb"] = round(clocked(single, 0.2)["peak_mb"])
    if options.folder is not None:
        with tempfile.TemporaryDirectory() as out:
            rows: list[dict[str, float]] = []
            for k in range(options.runs):
                rows.append(clocked([str(options.folder), *wanted, "-o", f"{out}/{k}/"], 1.0))
            count = len(list(Path(out, "0").glob("*.py")))
        result["pictures"] = count
        result["seconds_a_picture"] = summary(rows, count)["to_end"]
        result["peak_mb_folder"] = round(max(row["peak_mb"] for row in rows))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
