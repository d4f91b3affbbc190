"""The benchmark's harness: what faults and kills cost, and what it takes itself.

``python benchmarks/harness.py [--parts 1000] [--faults 0.2] [--kills 3] [--work FOLDER]``

1. A run over synthetic parts against the rehearsal server, which lets a share of the requests meet a fault (429 with
   Retry-After, 500, 503, no answer, a connection cut in the middle, no JSON). The run is killed with SIGKILL several
   times and started again. Printed: calls made against calls needed, answers paid twice, rows, and the cost by the
   rows against what the server billed.
2. Processor time of the harness a part: a run of this process against a server of another one that answers at once.

The server answers with one of 20 scripts, and equal scripts are run once by the harness, so that this measures the
harness and not CadQuery; every answer is measured against its own true part as always.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from eval import scores  # noqa: E402
from eval.cache import Cache  # noqa: E402
from eval.calls import read_ledger  # noqa: E402
from eval.rehearsal import PASSING, Rehearsal  # noqa: E402
from eval.rowfile import read_benchmark_rows  # noqa: E402
from eval.run import Plan, carry_out  # noqa: E402
from eval.suites.made import make_synthetic  # noqa: E402

PRICE = (Decimal(3), Decimal(15))


def shape(question: str) -> str:
    """Return one of 20 scripts."""
    n = int(hashlib.sha256(question.encode()).hexdigest(), 16) % 20
    return f'```python\nimport cadquery as cq\nresult = cq.Workplane("XY").box({20 + 5 * n}, 60, {100 - 4 * n})\n```'


def killed_run(suite: Path, out: Path, parts: int, faults: float, kills: int) -> bool:
    """Run the benchmark with faults and kills, print what came of it, and return whether all is as it should be."""
    with Rehearsal(faults=faults, kinds=PASSING, slow=0.02, patience=14.0, seed=1, write=shape) as house:
        model = f"{house.url}/v1,price={PRICE[0]}/{PRICE[1]},at_once=16,timeout=10,tries=12,label=rehearsal"
        ask = [sys.executable, "-m", "eval.benchmark", "--suite", str(suite), "--model", model, "--budget", "none"]
        ask += ["--out", str(out), "--gallery", "0", "--limit", str(parts)]
        start, done = time.perf_counter(), 0
        for run in range(kills + 1):
            process = subprocess.Popen(ask, cwd=ROOT, stderr=subprocess.DEVNULL)
            target = parts * (run + 1) // (kills + 1)
            while process.poll() is None:
                if run < kills and len(house.delivered) >= target:
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    done += 1
                    print(f"SIGKILL {done} after {len(house.delivered)} answers", flush=True)
                    break
                time.sleep(0.01)
        seconds = time.perf_counter() - start
        time.sleep(1.0)  # what was in flight at the last kill
        met = Counter(fault for _, fault in house.met)
        asked = Counter(line["question"] for line in house.delivered)
        billed = [PRICE[0] * line["tokens"][0] + PRICE[1] * line["tokens"][1] for line in house.delivered]
    rows = read_benchmark_rows(out / "rows.jsonl")
    bill = sum(billed, Decimal(0)) / 1_000_000
    # Parts that look the same to the last pixel ask the same question, which is paid for once.
    needed = {row["calls"][0]: Decimal(row["cost"]) for row in rows if row["calls"]}
    cost = sum(needed.values(), Decimal(0))
    twice = sum(count - 1 for count in asked.values())
    lost = read_ledger(out / "calls.jsonl", Cache(out / "answers"))["lost"]
    share = sum(n for fault, n in met.items() if fault != "ok") / max(1, sum(met.values()))
    print(f"parts {parts}, rows {len(rows)}, of different parts {len({row['id'] for row in rows})}")
    print(f"requests that reached the server {sum(met.values())}: {dict(met)} ({100 * share:.1f} % faults)")
    print(f"answers needed {len(needed)}, delivered {len(asked)} different, paid twice {twice}")
    print(f"calls whose answer is lost {lost}")
    print(f"cost by the rows ${cost:.6f}, by the server's bill ${bill:.6f}, difference ${abs(cost - bill):.6f}")
    print(f"{seconds:.0f} s of wall clock")
    whole = len({row["id"] for row in rows}) == parts == len(rows)
    return whole and twice == 0 and len(asked) == len(needed) and cost == bill and done == kills


def overhead(suite: Path, out: Path, parts: int) -> bool:
    """Run in this process against a server of another one; print the processor time a part."""
    measuring: list[float] = []
    plain = scores.measured

    def timed(*given: Any) -> Any:
        begin = time.thread_time()
        try:
            return plain(*given)
        finally:
            measuring.append(time.thread_time() - begin)

    scores.measured = timed  # type: ignore[assignment]
    ask = [sys.executable, "-m", "eval.rehearsal", "--port", "0"]
    server = subprocess.Popen(ask, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()

        def cost(count: int, name: str) -> float:
            measuring.clear()
            begin = time.process_time()
            plan = Plan(suite=str(suite), models=(f"{url},at_once=4,label=a",), out=out / name, limit=count, gallery=0)
            carry_out(plan)
            return time.process_time() - begin - sum(measuring)

        few = cost(parts // 5, "few")
        many = cost(parts, "many")
    finally:
        server.kill()
        server.wait()
    each = 1000 * (many - few) / (parts - parts // 5)
    score = 1000 * sum(measuring) / parts
    print(f"harness, a part: {each:.1f} ms of processor time (asking, keeping, the row); the score {score:.1f} ms")
    print(f"with its start and the reports, without the score: {1000 * many / parts:.1f} ms over {parts} parts")
    return each <= 50


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--faults", type=float, default=0.2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--only", choices=["kills", "overhead"])
    parser.add_argument("--suite", type=Path, help="a folder of parts in place of synthetic ones")
    parser.add_argument("--work", type=Path, help="a folder to work in, kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        suite = args.suite or make_synthetic(work / "parts", "gencad", args.parts, 3)
        good = True
        if args.only != "overhead":
            good &= killed_run(suite, work / "killed", args.parts, args.faults, args.kills)
        if args.only != "kills":
            good &= overhead(suite, work / "quiet", min(args.parts, 200))
    print(json.dumps({"good": good}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
