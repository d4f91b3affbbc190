"""A long run of the executor: memory flat, no zombie, no result lost or doubled, also when it is killed in the middle.

    python -m benchmarks.soak --count 20000 [--out build/soak.jsonl] [--workers 3]

Scripts 0 to COUNT - 1; every twentieth is hostile (from ``tests/sandbox/attacks``, in turn), of the others every second
is a part whose volume only its own number gives, the rest are real ones where there are any. A *part* (this program
with ``--part``) is the supervisor: it appends a row a script as it is made, and goes on after the rows that are there.
The driver kills it with SIGKILL halfway, sees that nothing of it is left, starts it once more, and then counts: each
number exactly once, each outcome as it should be, the memory of all processes at the start and at the end. A run that
was itself interrupted goes on with the same command. Prints JSON; exit code 1 if something is not right.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cadcoder.sandbox import Executor

ROOT = Path(__file__).resolve().parent.parent
EVERY = 20
SAMPLE = 250
TIMEOUT = 4.0
SECRET = "secret"
# Real parts that OpenCascade may or may not find valid; their outcome must only be the same every time.
SETTLED = ("ok", "invalid_shape", "exception")


def attacks() -> dict[str, Any]:
    """Return the hostile scripts by name."""
    sys.path.insert(0, str(ROOT / "tests" / "sandbox"))
    found: dict[str, Any] = importlib.import_module("sandbox_attacks").ATTACKS
    return found


def numbered(n: int) -> tuple[str, float]:
    """Return a script whose volume is that of its number alone, and the volume."""
    height = 1 + n / 1000
    return (
        f"import cadquery as cq\nresult = cq.Workplane().box(4, 4, {height!r}).edges('|Z').chamfer(0.5)"
        f".faces('>Z').workplane().rect(1, 1).cutThruAll()\n",
        (16 - 4 * 0.125 - 1) * height,
    )


class Work:
    """What script ``n`` is, and which outcome is right for it."""

    def __init__(self, outside: Path, data: Path) -> None:
        self.attacks = list(attacks().values())
        path = data / "gencad_code_dev" / "samples.jsonl"
        self.real = [json.loads(line)["code"] for line in path.read_text().splitlines()] if path.is_file() else []
        self.outside = outside

    def kind(self, n: int) -> str:
        """Return ``hostile``, ``numbered`` or ``real``."""
        if n % EVERY == EVERY - 1:
            return "hostile"
        return "real" if n % 2 and self.real else "numbered"

    def code(self, n: int) -> str:
        """Return the script."""
        kind = self.kind(n)
        if kind == "hostile":
            attack = self.attacks[n // EVERY % len(self.attacks)]
            words = {"tcp": 9, "udp": 9, "abstract": "soak", "canary": os.getpid(), "shm": 1}
            text: str = attack.code(outside=self.outside, home=Path.home(), **words)
            return text
        return self.real[n // 2 % len(self.real)] if kind == "real" else numbered(n)[0]

    def fault(self, row: dict[str, Any]) -> str | None:
        """Return what is wrong with a row, or None."""
        n, status = row["n"], row["status"]
        kind = self.kind(n)
        if kind == "hostile":
            attack = self.attacks[n // EVERY % len(self.attacks)]
            # On a busy machine anything may run out of its time first.
            return None if status in (*attack.expect, "timeout") else f"{attack.name}: {status}: {row['message']}"
        if kind == "numbered":
            right = status == "ok" and abs(row["volume"] - numbered(n)[1]) < 1e-6
            return None if right else f"{status} {row['volume']}: {row['message']}"
        return None if status in SETTLED else f"real {n // 2 % len(self.real)}: {status}: {row['message']}"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; half a row at the end, left by a kill, is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def part(options: argparse.Namespace) -> None:
    """Run what has no row yet."""
    done = {row["n"] for row in rows_of(options.out)}
    work = Work(Path(options.outside), options.data)
    todo = [n for n in range(options.count) if n not in done]
    with (
        open(options.out, "a", encoding="utf-8") as file,
        open(memory_file(options.out), "a", encoding="utf-8") as memory,
        Executor(workers=options.workers, timeout=TIMEOUT, memory_mb=512) as executor,
    ):
        outcomes = executor.imap((work.code(n) for n in todo), exports=(), mesh=True)
        for made, (n, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
            row = {"n": n, "status": outcome.status, "volume": outcome.volume, "message": outcome.message}
            file.write(json.dumps(row) + "\n")
            file.flush()
            if made % min(SAMPLE, max(1, options.count // 20)) == 0:
                sample = {"pid": os.getpid(), "rows": made, "time": round(time.time(), 2), **measure(os.getpid())}
                memory.write(json.dumps(sample) + "\n")
                memory.flush()


def memory_file(out: Path) -> Path:
    """Return where the samples of memory go."""
    return out.with_suffix(".memory.jsonl")


def below(root: int) -> Iterator[int]:
    """Yield the processes below one."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry))
    todo = [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            yield pid
            todo.append(pid)


def measure(root: int) -> dict[str, float]:
    """Return megabytes of a supervisor and of its standing processes, and how many processes, zombies, descriptors."""
    zombies = processes = 0
    standing = 0.0
    for pid in below(root):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            age = time.time() - os.stat(f"/proc/{pid}").st_ctime
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        zombies += state == "Z" and age > 1  # one that has just ended waits a moment for its parent
        processes += 1
        if age > 2 * TIMEOUT + 1:
            standing += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
    resident = int(Path(f"/proc/{root}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    return {
        "supervisor_mb": round(resident, 1),
        "standing_mb": round(standing, 1),
        "processes": processes,
        "zombies": zombies,
        "descriptors": len(os.listdir(f"/proc/{root}/fd")),
    }


def drive(options: argparse.Namespace) -> int:
    """Start parts, kill the first halfway, and judge the rows."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-outside-") as outside:
        (Path(outside) / "secret.txt").write_text(SECRET)
        command = [sys.executable, "-m", "benchmarks.soak", "--part", "--outside", outside, *options.repeated]
        start, there = time.monotonic(), len(rows_of(options.out))
        note = options.out.with_suffix(".killed.json")
        if there < options.count // 2:
            note.write_text(json.dumps(kill_in_the_middle(command, options.out, options.count // 2)))
        killed = json.loads(note.read_text()) if note.exists() else None
        finished = subprocess.run(command, cwd=ROOT).returncode
        seconds = time.monotonic() - start
        clean = sorted(os.listdir(outside)) == ["secret.txt"]
        report = judge(options, Work(Path(outside), options.data))
    report |= {"killed": killed, "second_part_exit": finished, "outside_clean": clean}
    report["scripts_a_second"] = round((options.count - there) / seconds, 1)
    # A script that is late shows a machine that was busy with other things; of many nothing can be said.
    bad = report["late"] > options.count // 100 or finished or not clean
    bad = bad or any(report[key] for key in ("lost", "doubled", "wrong", "zombies"))
    bad = bad or (killed is not None and killed["left"] > 0)
    print(json.dumps(report, indent=1))
    return 1 if bad else 0


def kill_in_the_middle(command: list[str], out: Path, rows: int) -> dict[str, Any]:
    """Start a part, kill it with SIGKILL once there are so many rows, and wait until nothing of it is left."""
    running = subprocess.Popen(command, cwd=ROOT)
    while running.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < rows):
        time.sleep(1)
    if running.poll() is not None:
        sys.exit(f"the first part ended by itself with code {running.returncode}")
    processes = list(below(running.pid))
    running.send_signal(signal.SIGKILL)
    running.wait()
    died = time.monotonic()
    while time.monotonic() - died < 30 and any(map(alive, processes)):
        time.sleep(0.05)
    return {
        "rows": len(rows_of(out)),
        "processes": len(processes),
        "left": sum(map(alive, processes)),
        "seconds_until_all_were_gone": round(time.monotonic() - died, 2),
    }


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def judge(options: argparse.Namespace, work: Work) -> dict[str, Any]:
    """Return what the rows come to."""
    rows = rows_of(options.out)
    times = Counter(row["n"] for row in rows)
    late = {row["n"] for row in rows if row["status"] == "timeout" and work.kind(row["n"]) != "hostile"}
    wrong = [f"{row['n']}: {fault}" for row in rows if row["n"] not in late and (fault := work.fault(row))]
    kinds = {kind: Counter(r["status"] for r in rows if work.kind(r["n"]) == kind) for kind in ("numbered", "real")}
    kinds["hostile"] = Counter(r["status"] for r in rows if work.kind(r["n"]) == "hostile")
    samples = [json.loads(line) for line in memory_file(options.out).read_text().splitlines()]
    parts: dict[int, list[dict[str, Any]]] = {}
    for sample in samples:
        parts.setdefault(sample["pid"], []).append(sample)
    return {
        "scripts": options.count,
        "lost": sum(n not in times for n in range(options.count)),
        "doubled": sum(count > 1 for count in times.values()),
        "wrong": wrong[:20],
        "late": len(late),
        "outcomes": {kind: dict(counts.most_common()) for kind, counts in kinds.items()},
        "zombies": max((s["zombies"] for s in samples), default=0),
        "memory": [
            {
                "rows": p[-1]["rows"],
                **{k: [p[0][k], p[len(p) // 2][k], p[-1][k]] for k in ("supervisor_mb", "standing_mb", "descriptors")},
                "processes": max(s["processes"] for s in p),
            }
            for p in parts.values()
        ],
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak.jsonl")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--outside", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(options)
        return
    options.out = options.out.resolve()
    options.repeated = ["--count", str(options.count), "--workers", str(options.workers)]
    options.repeated += ["--out", str(options.out), "--data", str(options.data.resolve())]
    sys.exit(drive(options))


if __name__ == "__main__":
    main()
