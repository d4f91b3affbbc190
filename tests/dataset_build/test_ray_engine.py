"""Ray's engine: the bytes of the local one, whatever is killed; and one clear line where there is no cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.cluster import Cluster, command, digests, shards, short_folder, tree
from dataset_build import cluster
from dataset_build.build import main
from dataset_build.cluster import Job, stamp
from dataset_build.sources import Synthetic
from dataset_build.versions import versions

ROOT = Path(__file__).parents[2]
COUNT, SHARD = 200, 10
HERE = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HERE, reason="Ray is not installed (cadcoder[cluster])")

#: Parts that do to their workers what they should not; built by the engine that is named, where only the nodes are.
DEADLY = """
import os, signal, sys, time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from dataset_build.build import build_set
from dataset_build.cluster import RayPool
from dataset_build.pool import Pool
from dataset_build.sources import Synthetic

@dataclass(frozen=True)
class Deadly:
    def __len__(self):
        return 14
    def name(self, index):
        return f"part {index}"
    def part(self, index):
        if index == 3:
            os._exit(9)
        if index == 5:
            signal.setitimer(signal.ITIMER_REAL, 0.2)  # what PATIENCE would do in a minute
            while True:
                time.sleep(1)
        if index == 7:
            bytearray(5 << 30)  # more than MEMORY
        return Synthetic(20, 0).part(index)

if __name__ == "__main__":
    from dangerous import Deadly
    out, address = sys.argv[1:]
    engine = Pool if address == "none" else partial(RayPool, address=address)
    build_set(Deadly(), Path(out), {"x": 1}, 1, 7, images=False, engine=engine)
"""


def told(given, capsys):
    assert main([*given, "-q"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1, err
    return err


def synthetic(out, *more):
    return ["--source", "synthetic", "--count", "5", "--no-images", "--out", str(out), *more]


def test_engines_and_addresses_are_refused_in_one_line(tmp_path, capsys):
    assert "local, ray" in told(synthetic(tmp_path / "a", "--engine", "dask"), capsys)
    assert "--engine ray" in told(synthetic(tmp_path / "a", "--ray-address", "here:1"), capsys)
    assert not (tmp_path / "a").exists()


def test_without_ray_one_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'cadcoder[cluster]'" in told(synthetic(tmp_path / "a", "--engine", "ray"), capsys)
    assert not (tmp_path / "a").exists()


@needs_ray
def test_an_address_where_no_ray_answers_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 5.0)
    given = synthetic(tmp_path / "a", "--engine", "ray", "--ray-address")
    assert "HOST:PORT" in told([*given, "nowhere"], capsys)
    assert "on a node of the cluster" in told([*given, "ray://127.0.0.1:10001"], capsys)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
        began = time.monotonic()
        assert f"nothing answers at {address}" in told([*given, address], capsys)
        assert time.monotonic() - began < 10
        s.listen()  # takes the call and never says a word
        assert "did not answer as Ray in 5 s" in told([*given, address], capsys)
    assert not (tmp_path / "a").exists()


def test_a_node_with_other_versions_or_inputs_is_told_of(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{}")
    (tmp_path / "in.zip").write_bytes(b"PK")
    stamps = {str(p): stamp(p) for p in (tmp_path / "in", tmp_path / "in.zip")}
    job = Job(Synthetic(1, 0), False, "fast", None, versions(), stamps)
    assert job.fault(versions()) is None
    assert "manifold3d 0.1" in (job.fault(versions() | {"manifold3d": "0.1"}) or "")
    (tmp_path / "in" / "a.json").unlink()  # a mount point without its file system
    assert f"another {tmp_path / 'in'};" in (job.fault(versions()) or "")
    (tmp_path / "in").rmdir()
    assert f"no {tmp_path / 'in'};" in (job.fault(versions()) or "")
    assert stamp(tmp_path / "nowhere") == ""


@needs_ray
def test_a_killed_node_and_a_killed_driver_cost_no_byte(tmp_path):
    (tmp_path / "dangerous.py").write_text(DEADLY)
    where = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    local, out = tmp_path / "local", tmp_path / "ray"
    deadly = [sys.executable, str(tmp_path / "dangerous.py")]
    subprocess.run(command(local, COUNT, 5, "none", "-q", shard=SHARD), cwd=ROOT, check=True, timeout=300)
    subprocess.run([*deadly, str(tmp_path / "deadly"), "none"], env=where, check=True, timeout=300)
    with short_folder() as folder, Cluster(folder) as nodes:
        where |= nodes.environment | {"PYTHONPATH": where["PYTHONPATH"]}
        given = command(out, COUNT, 5, "none", "-q", "--engine", "ray", "--ray-address", nodes.address, shard=SHARD)
        running = subprocess.Popen(given, cwd=ROOT, env=where, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        await_that(lambda: at_work(nodes.nodes[1].pid), running)
        assert nodes.kill(1) > 2  # the second node, with all its processes
        await_that(lambda: shards(out) >= 9, running)
        running.send_signal(signal.SIGKILL)
        said = running.communicate()
        assert said[0] == b"" and said[1].startswith(b"warning: parts ") and said[1].count(b"\n") == 1, said
        assert not json.loads((out / "meta.json").read_text())["complete"]
        done = subprocess.run(given, cwd=ROOT, env=where, capture_output=True, timeout=300)
        assert done.returncode == 0 and done.stdout == b"", done.stderr
        subprocess.run([*deadly, str(tmp_path / "alive"), nodes.address], env=where, check=True, timeout=300)
    assert json.loads((out / "meta.json").read_text())["complete"]
    assert digests(out) == digests(local)
    assert digests(tmp_path / "alive") == digests(tmp_path / "deadly")
    rejects = pq.read_table(tmp_path / "alive" / "rejects.parquet").to_pylist()
    found = {(r["file"], r["reason"]) for r in rejects}
    assert found == {("part 3", "crashed"), ("part 5", "crashed"), ("part 7", "internal")}


def await_that(holds, running):
    limit = time.monotonic() + 200
    while not holds():
        assert running.poll() is None and time.monotonic() < limit, running.stderr.read()
        time.sleep(0.02)


def at_work(node):
    """Tell whether a node has begun with a chunk: one of its tasks has started a worker of its own."""
    lines = []
    for pid in tree(node):
        with contextlib.suppress(OSError):
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return any(b"spawn_main" in line for line in lines)
