"""The data factory on a cluster: the same bytes as on one machine, also when a node is killed; rates and memory.

    python -m benchmarks.cluster [--count 2000] [--seed 17] [--pictures none|gencad] [--out build/cluster]

Starts Ray's head and a second node as processes of this machine, each with one processor and an object store of 100 MB,
and builds synthetic sets: one of ``COUNT`` parts by the local engine with two workers; the same by the two nodes; the
same again while the second node and all its processes are killed with SIGKILL when a third of the shards is there (it
stays away); and one three times as large by the nodes of a fresh cluster, to see that memory does not grow with it. All
files of the first three must be equal. Memory is PSS (what processes share is counted in parts), sampled four times a
second: of the driver, and of the nodes with Ray's own processes. Processor seconds are those of the driver and of
everything that it or the nodes started. Prints JSON; exit code 1 if bytes differ. Needs ``cadcoder[cluster]``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
#: Bytes of each node's object store.
STORE = 100_000_000
#: Parts a shard; small, so that one is soon there.
SHARD = 50
#: So that a node's death is known after seconds; and a node's work counts as much as other work on this machine.
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def tree(pid: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(c) for c in (task / "children").read_text().split()]
    return found


def memory(pid: int) -> float:
    """Return the PSS of a process in MB; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def processor(pid: int) -> float:
    """Return the processor seconds of a process."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Cluster:
    """Nodes of Ray as processes of this machine; a context manager that leaves none of them."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        """Start nothing yet; ``folder`` gets Ray's files, and its path must be short."""
        self.folder, self._count = folder, nodes
        self.nodes: list[subprocess.Popen[bytes]] = []
        #: For whoever is to be let in.
        self.environment = os.environ | QUICK | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"

    def __enter__(self) -> Self:
        head = ["--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false"]
        try:
            self._start(*head, f"--temp-dir={self.folder}")
            for _ in range(1, self._count):
                self._start(f"--address={self.address}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, *how: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--num-gpus=0"]
        command += ["--node-ip-address=127.0.0.1", f"--object-store-memory={STORE}", "--disable-usage-stats", *how]
        quiet = subprocess.DEVNULL
        # Not in the repository's root: what the nodes know of the code, they are sent.
        self.nodes.append(subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd="/", env=self.environment))
        limit = time.monotonic() + 300
        while self._alive() < len(self.nodes):
            if self.nodes[-1].poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"a node of Ray did not start; see {self.folder}")
            time.sleep(0.3)

    def _alive(self) -> int:
        """Return how many nodes there are, as a process of its own sees them."""
        code = (
            "import ray, sys\nray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False)\n"
            "print(sum(n['Alive'] for n in ray.nodes()))"
        )
        host, _, port = self.address.rpartition(":")
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            socket.create_connection((host, int(port)), 1).close()
            run = [sys.executable, "-c", code, self.address]
            done = subprocess.run(run, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
            return int(done.stdout)
        return 0

    def kill(self, node: int) -> int:
        """Kill a node with all its processes at once, as a lost machine would be; return how many they were."""
        pids = tree(self.nodes[node].pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.nodes[node].wait()
        return len(pids)

    def __exit__(self, *_: object) -> None:
        for k in reversed(range(len(self.nodes))):
            self.kill(k)
        # What lost its parent is in no tree, but still has the token that it was started with.
        token = self.environment["RAY_AUTH_TOKEN"].encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if token in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), signal.SIGKILL)


class Meter:
    """Watches trees of processes from a thread: most memory of each, and processor seconds."""

    def __init__(self, **roots: Sequence[int]) -> None:
        """Watch processes by name of their group; a group's first processes are given."""
        self._roots, self._over = roots, threading.Event()
        self.most = dict.fromkeys(roots, 0.0)
        self.series: list[float] = []
        self._seconds: dict[int, float] = {}
        self._group: dict[int, str] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._before = {pid: processor(pid) for pids in self._roots.values() for r in pids for pid in tree(r)}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> dict[str, float]:
        """Return the processor seconds of each group since the beginning.

        What a process took after the last look at it is missing.
        """
        found = dict.fromkeys(self._roots, 0.0)
        for pid, seconds in self._seconds.items():
            found[self._group[pid]] += seconds - self._before.get(pid, 0.0)
        return {name: round(v, 1) for name, v in found.items()}

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            total = 0.0
            for name, roots in self._roots.items():
                pids = [pid for r in roots for pid in tree(r)]
                now = sum(map(memory, pids))
                self.most[name] = max(self.most[name], now)
                total += now
                for pid in pids:
                    self._group.setdefault(pid, name)
                    self._seconds[pid] = max(self._seconds.get(pid, 0.0), processor(pid))
            self.series.append(total)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a set; the commit, which can change while others work, counts as one word."""
    commit = json.loads((folder / "meta.json").read_text())["git_commit"].encode()
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        data = data if path.suffix in (".parquet", ".png") else data.replace(commit, b"COMMIT")
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(data).hexdigest()
    return found


def command(out: Path, count: int, seed: int, pictures: str, *more: str, shard: int = SHARD) -> list[str]:
    """Return the command that builds a set."""
    given = ["--source", "synthetic", "--count", str(count), "--seed", str(seed), "--shard-size", str(shard)]
    return [sys.executable, "-m", "dataset_build.build", *given, "--pictures", pictures, "--out", str(out), *more]


def shards(out: Path) -> int:
    """Return how many shards are finished."""
    return len(list((out / "data").glob("*.parquet"))) if (out / "data").is_dir() else 0


def build(out: Path, count: int, cluster: Cluster | None, kill_at: int | None = None, **how: Any) -> dict[str, Any]:
    """Build a set and return what it took; kill the cluster's second node when ``kill_at`` shards are there."""
    more = ["--workers", "2"] if cluster is None else ["--engine", "ray", "--ray-address", cluster.address]
    began = time.monotonic()
    given = command(out, count, how["seed"], how["pictures"], *more)
    environment = cluster.environment if cluster else None
    running = subprocess.Popen(given, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    roots = {"driver": [running.pid], "nodes": [n.pid for n in cluster.nodes] if cluster else []}
    killed, first = 0, 0.0
    with Meter(**roots) as meter:
        while running.poll() is None:
            first = first or (time.monotonic() if shards(out) else 0.0)
            if cluster and kill_at is not None and not killed and shards(out) >= kill_at:
                killed = cluster.kill(1)
            time.sleep(0.05)
    said = running.stderr.read().decode() if running.stderr else ""
    if running.returncode != 0:
        raise RuntimeError(said)
    wall, third = time.monotonic() - began, max(1, len(meter.series) // 3)
    found = {
        "samples": json.loads((out / "meta.json").read_text())["samples"],
        "seconds": round(wall, 1),
        "samples a second": round(count / wall, 1),
        "samples a second after the first shard": round((count - SHARD) / (time.monotonic() - first), 1),
        "processor seconds": {k: v for k, v in meter.seconds.items() if roots[k]},
        "peak MB": {k: round(v) for k, v in meter.most.items() if roots[k]},
        "mean MB in the middle third": round(sum(meter.series[third : 2 * third]) / third),
        "mean MB in the last third": round(sum(meter.series[-third:]) / third),
    }
    lost = [line for line in said.splitlines() if line.startswith("warning")]
    found |= {"processes killed": killed, "said": lost} if kill_at is not None else {}
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Yield a new folder with a short path: Ray makes sockets in it, whose paths may have 107 bytes."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--pictures", default="none")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "cluster")
    a = parser.parse_args()
    shutil.rmtree(a.out, ignore_errors=True)
    how = {"seed": a.seed, "pictures": a.pictures}
    found: dict[str, Any] = {"parts": a.count, "pictures": a.pictures, "cores": len(os.sched_getaffinity(0))}
    found["local, 2 workers"] = build(a.out / "local", a.count, None, **how)
    with short_folder() as folder, Cluster(folder) as cluster:
        found["ray, 2 nodes"] = build(a.out / "ray", a.count, cluster, **how)
        third = max(1, -(-a.count // SHARD) // 3)
        found["ray, one node killed"] = build(a.out / "killed", a.count, cluster, kill_at=third, **how)
    with short_folder() as folder, Cluster(folder) as cluster:
        found["ray, 2 nodes, three times the parts"] = build(a.out / "large", 3 * a.count, cluster, **how)
    whole = digests(a.out / "local")
    found["files"] = len(whole)
    found["bytes equal"] = {name: digests(a.out / name) == whole for name in ("ray", "killed")}
    print(json.dumps(found, indent=1))
    shutil.rmtree(a.out, ignore_errors=True)
    return 0 if all(found["bytes equal"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
