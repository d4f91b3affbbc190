"""The build: bytes that depend on nothing but the command, restarts, rejects, and sets that datasets opens."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.program.serialize import from_json
from cadcoder.program.shapes import Shape
from cadcoder.program.types import Circle, Extrude, Loop, Operation, Plane, Profile, Program, Sketch
from dataset_build import sources
from dataset_build.build import build_set, main
from dataset_build.png import png
from dataset_build.readers.rejects import Reason, Reject
from dataset_build.shards import load_rejects, save_rejects, shard_path
from dataset_build.sources import Part, Synthetic

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CADCODER_DATA", ROOT.parent / "shared" / "data")) / "deepcad_samples"
COUNT, SHARD = 70, 25


def command(out, *more, count=COUNT):
    given = [
        "--source",
        "synthetic",
        "--count",
        str(count),
        "--shard-size",
        str(SHARD),
        "--seed",
        "5",
        "--out",
        str(out),
    ]
    return [sys.executable, "-m", "dataset_build.build", *given, *more]


def digests(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def stale(out):
    return f"warning: the set was begun by other versions (see {out / 'meta.json'}); its shards may differ in style\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set built in one go by two workers."""
    out = tmp_path_factory.mktemp("sets") / "whole"
    done = subprocess.run(command(out, "--workers", "2"), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "samples and" in done.stderr
    return out


def test_rows_agree_with_themselves(made):
    rows = [r for p in sorted((made / "data").iterdir()) for r in pq.read_table(p).to_pylist()]
    meta = json.loads((made / "meta.json").read_text())
    assert meta["complete"] and meta["samples"] == len(rows) == sum(meta["shards"].values())
    assert len(rows) + sum(meta["rejects"].values()) == COUNT
    assert len({r["seed"] for r in rows}) == len(rows) and len({r["code"] for r in rows}) > 0.9 * len(rows)
    assert [r["seed"] for r in rows] == sorted(r["seed"] for r in rows)
    for r in rows[:25]:
        program = from_json(json.loads(r["program"]))
        assert build(parse(r["code"])).iou(build(program)) > 0.999
        picture = np.asarray(Image.open(io.BytesIO(r["image"]["bytes"])).convert("RGB"))
        assert picture.shape == (448, 448, 3) and 0.001 < (picture < 250).mean() < 0.7
        assert r["source"] == "synthetic" and 5 < len(r["caption"]) < 200 and "\n" not in r["caption"]


def test_datasets_opens_it(made, tmp_path):
    datasets = pytest.importorskip("datasets")
    for path in (["parquet", {"data_dir": str(made)}], [str(made), {}]):
        found = datasets.load_dataset(path[0], **path[1], split="train", cache_dir=str(tmp_path))
        assert isinstance(found.features["image"], datasets.Image)
        assert found.column_names == ["image", "code", "program", "caption", "source", "seed", "depth"]
        assert found[0]["image"].size == (448, 448)
        assert found.num_rows == json.loads((made / "meta.json").read_text())["samples"]


def test_killed_and_resumed_gives_the_same_bytes(made, tmp_path):
    out = tmp_path / "killed"
    running = subprocess.Popen(command(out, "--workers", "1", "-q"), cwd=ROOT, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while not shard_path(out, 0, 3).exists():
        assert running.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not shard_path(out, 2, 3).exists() and not json.loads((out / "meta.json").read_text())["complete"]
    before = shard_path(out, 0, 3).stat().st_mtime_ns
    (out / "data" / "train-00001-of-00003.parquet.partial").write_bytes(b"half of a shard")
    done = subprocess.run(command(out, "--workers", "1", "-q"), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr in ("", stale(out))
    assert shard_path(out, 0, 3).stat().st_mtime_ns == before
    whole, resumed = (json.loads((d / "meta.json").read_text()) for d in (made, out))
    # A commit made while the tests run is the only thing that may tell the two apart.
    (made_at, resumed_at) = (m.pop("git_commit") for m in (whole, resumed))
    assert resumed == whole
    names = {k for k in digests(made) if k != "meta.json" or made_at == resumed_at}
    assert digests(out).keys() == digests(made).keys()
    assert {k: digests(out)[k] for k in names} == {k: digests(made)[k] for k in names}


def test_a_finished_set_is_left_alone_and_another_plan_refused(made, capsys):
    before = digests(made)
    given = ["--source", "synthetic", "--shard-size", str(SHARD), "--out", str(made)]
    assert main([*given, "--count", str(COUNT), "--seed", "5"]) == 0
    assert main([*given, "--count", str(COUNT), "--seed", "6"]) == 2
    assert "seed differ" in capsys.readouterr().err.splitlines()[-1]
    assert digests(made) == before


@dataclass(frozen=True)
class Deadly:
    """Plates, but part 3 ends its worker, part 5 never comes, part 6 breaks a promise, part 7 builds nothing."""

    def __len__(self):
        return 12

    def name(self, index):
        return f"part {index}"

    def part(self, index):
        if index == 3:
            os._exit(9)
        if index == 5:
            signal.setitimer(signal.ITIMER_REAL, 0.2)  # what PATIENCE would do in a minute
            while True:
                time.sleep(1)
        if index == 6:
            raise ZeroDivisionError("not declared")
        outline = Shape("rect", (100.0, 10.0 + index), (0.0, 0.0)).loop()
        hole = Loop((Circle((0.0, 0.0), 200.0 if index == 7 else 2.0),))
        cut = Extrude(Sketch((Profile(hole),), Plane()), 5.0, 0.0, Operation.CUT)
        plate = Extrude(Sketch((Profile(outline),), Plane()), 5.0)
        return Part(Program((plate, cut)), "deadly", index)


def test_what_kills_a_worker_is_one_reject(tmp_path):
    seen = []
    meta = build_set(Deadly(), tmp_path / "a", {"x": 1}, 1, 4, images=False, report=seen.append)
    assert meta["rejects"] == {"build_failed": 1, "crashed": 2, "internal": 1} and meta["samples"] == 8
    rejects = pq.read_table(tmp_path / "a" / "rejects.parquet").to_pylist()
    assert {(r["file"], r["reason"]) for r in rejects} == {
        ("part 3", "crashed"),
        ("part 5", "crashed"),
        ("part 6", "internal"),
        ("part 7", "build_failed"),
    }
    assert "ZeroDivisionError" in next(r["detail"] for r in rejects if r["file"] == "part 6")
    assert seen == sorted(seen) and seen[-1] == 12
    assert list(meta["shards"].values()) == [3, 1, 4]


def test_files_become_samples_or_rejects(tmp_path, monkeypatch):
    source = tmp_path / "in" / "00"
    source.mkdir(parents=True)
    sys.path.insert(0, str(Path(__file__).parent))
    from test_readers import SQUARE, ext, vec

    np.save(source / "good.npy", vec(SQUARE, ext()))
    np.save(source / "empty.npy", np.zeros((0, 17), dtype=int))
    (source / "text.h5").write_text("no such thing")
    (source / "notes.txt").write_text("not an input")
    out = tmp_path / "out"
    given = ["--source", "deepcad-vec", "--input", str(tmp_path / "in"), "--out", str(out), "--workers", "1", "-q"]
    assert main([*given, "--no-images"]) == 0
    (row,) = pq.read_table(out / "data").to_pylist()
    assert "image" not in row and row["source"] == "deepcad-vec/00/good.npy" and row["seed"] == -1
    assert "rect(100, 100)" in row["code"]
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    assert {(r["file"], r["reason"]) for r in rejects} == {
        ("00/empty.npy", "no_extrude"),
        ("00/text.h5", "unreadable"),
    }


@pytest.mark.skipif(not DATA.exists(), reason="the development data is not here")
def test_real_parts_end_as_samples_or_with_a_right_reason(tmp_path):
    given = ["--source", "deepcad-json", "--input", str(DATA / "cad_json"), "--out", str(tmp_path / "a"), "-q"]
    assert main([*given, "--count", "40", "--no-images"]) == 0
    rejects = pq.read_table(tmp_path / "a" / "rejects.parquet").to_pylist()
    assert {r["reason"] for r in rejects} == {"box_differs"} and len(rejects) == 5
    assert pq.read_table(tmp_path / "a" / "data").num_rows == 35


def test_arguments_are_refused_in_one_line(tmp_path, capsys):
    bad = [
        (["--source", "x", "--count", "0"], "--source"),
        (["--source", "synthetic"], "--count"),
        (["--source", "synthetic", "--count", "5", "--workers", "0"], "--workers"),
        (["--source", "synthetic", "--count", "5", "--seed", "-1"], "--seed"),
        (["--source", "deepcad-vec", "--input", str(tmp_path / "none")], "--input"),
        (["--source", "deepcad-json", "--input", str(tmp_path)], "--input"),
    ]
    for given, word in bad:
        assert main([*given, "--out", str(tmp_path / "out")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and word in err and err.count("\n") == 1
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    assert main(["--source", "synthetic", "--count", "5", "--out", str(tmp_path / "full")]) == 2
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    (tmp_path / "full" / "meta.json").write_text("{}")
    with pytest.raises(ConfigError):
        build_set(Synthetic(1, 0), tmp_path / "full", {})


def test_seeds_share_nothing():
    a, b = Synthetic(10, 0), Synthetic(10, 1)
    assert not {a.part(i).seed for i in range(3)} & {b.part(i).seed for i in range(3)}
    assert a.part(2) == Synthetic(3, 0).part(2)
    assert isinstance(sources.find("synthetic", None, 3, 0), Synthetic)


def test_png_is_lossless():
    rng = np.random.default_rng(0)
    for shape in ((20, 30, 3), (1, 1, 3), (448, 448, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        opened = Image.open(io.BytesIO(png(image)))
        opened.verify()
        opened = Image.open(io.BytesIO(png(image)))
        assert opened.mode == "RGB" and np.array_equal(np.asarray(opened), image)
    with pytest.raises(ValueError, match="uint8"):
        png(np.zeros((4, 4), np.uint8))


def test_rejects_survive_the_disk(tmp_path):
    kept = [Reject(Reason.OPEN_LOOP, "ä.json", "x/0", "a gap"), Reject(Reason.CRASHED, "b")]
    save_rejects(tmp_path / "r.json", kept)
    assert load_rejects(tmp_path / "r.json") == kept
