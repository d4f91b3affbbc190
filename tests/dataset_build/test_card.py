"""The data card, LLaVA's form, and a build that is killed at any point."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from dataset_build import llava
from dataset_build.card import main as card_main
from dataset_build.card import measure, values_of
from dataset_build.charts import histogram
from dataset_build.llava import main as llava_main

ROOT = Path(__file__).parents[2]


def command(out):
    given = "--source synthetic --count 30 --seed 8 --shard-size 10 --workers 1 -q --drop-duplicates".split()
    given += ["--out", str(out), "--llava", str(out) + "-llava"]
    return [sys.executable, "-m", "dataset_build.build", *given]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "set"
    done = subprocess.run(command(out), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return out


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_card_says_what_the_set_is(made):
    text = (made / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["license"] == "apache-2.0" and front["size_categories"] == ["n<1K"]
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    meta = json.loads((made / "meta.json").read_text())
    assert f"{meta['samples']} samples in 3 shards" in body and f"| synthetic | {meta['samples']} |" in body
    assert "read back" in body and "## Leaks and duplicates" in body
    found = measure(made)
    assert found.tokens.total() == meta["samples"] == sum(found.counts["extrudes"].values())
    assert f"{np.mean(values_of(found.tokens)):.1f}" in body
    for name in ("tokens.png", "pictures.png"):
        with Image.open(made / "card" / name) as picture:
            assert min(picture.size) > 100
    before = files(made)
    assert card_main([str(made)]) == 0 and files(made) == before


def test_datasets_opens_a_set_with_a_card(made, tmp_path):
    datasets = pytest.importorskip("datasets")
    for path, more in (("parquet", {"data_dir": str(made)}), (str(made), {})):
        found = datasets.load_dataset(path, **more, split="train", cache_dir=str(tmp_path))
        assert found.num_rows == json.loads((made / "meta.json").read_text())["samples"]
        assert isinstance(found.features["image"], datasets.Image)


@pytest.mark.parametrize("sign", ["data/train-00001-of-00003.parquet", "card", "README.md", "leaks.json"])
def test_killed_anywhere_it_ends_with_the_same_bytes(made, tmp_path, sign):
    out = tmp_path / "set"
    running = subprocess.Popen(command(out), cwd=ROOT, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not (out / sign).exists() and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert (out / sign).exists()
    done = subprocess.run(command(out), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    ours, theirs = files(out), files(made)
    commits = {json.loads(f["meta.json"])["git_commit"] for f in (ours, theirs)}
    assert ours.keys() == theirs.keys()
    # A commit made while the tests run is the only thing that may tell the two apart.
    named = {"meta.json", "README.md"} if len(commits) > 1 else set()
    assert {k for k in ours if ours[k] != theirs[k]} <= named
    assert files(Path(str(out) + "-llava")) == files(Path(str(made) + "-llava"))


def test_llava_s_form(made, tmp_path):
    out = tmp_path / "llava"
    assert llava_main([str(made), "--out", str(out)]) == 0
    assert files(out) == files(Path(str(made) + "-llava"))
    rows = json.loads((out / "llava.json").read_text())
    held = [
        r for p in sorted((made / "data").iterdir()) for r in pq.read_table(p, columns=["image", "code"]).to_pylist()
    ]
    assert len(rows) == len(held) and len({r["id"] for r in rows}) == len(rows)
    for row, sample in zip(rows, held, strict=True):
        human, answer = row["conversations"]
        assert human["from"] == "human" and human["value"].startswith("<image>\n") and answer["from"] == "gpt"
        assert answer["value"] == sample["code"]
        assert (out / row["image"]).read_bytes() == sample["image"]["bytes"]
        Image.open(io.BytesIO(sample["image"]["bytes"])).verify()


def test_llava_goes_on_after_a_stop(made, tmp_path, monkeypatch):
    out, whole = tmp_path / "a", files(Path(str(made) + "-llava"))
    real, calls = llava.write_whole, []

    def dying(path, data):
        calls.append(path)
        if len(calls) == 17:
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(llava, "write_whole", dying)
    with pytest.raises(KeyboardInterrupt):
        llava_main([str(made), "--out", str(out)])
    monkeypatch.setattr(llava, "write_whole", real)
    assert llava_main([str(made), "--out", str(out)]) == 0
    assert files(out) == whole


def test_faults_are_one_line(made, tmp_path, capsys):
    (tmp_path / "prompt.txt").write_text("Draw it")
    bad = [
        (card_main, []),
        (card_main, [str(tmp_path)]),
        (card_main, [str(made), "--tokenizer", str(tmp_path / "prompt.txt")]),
        (llava_main, [str(tmp_path), "--out", str(tmp_path / "x")]),
        (llava_main, [str(made), "--out", str(tmp_path)]),
        (llava_main, [str(made), "--out", str(made) + "-llava", "--prompt", str(tmp_path / "prompt.txt")]),
    ]
    for run, given in bad:
        assert run(given) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1


def test_histograms_of_nothing_and_of_one(tmp_path):
    for k, values in enumerate(([], [0], [7], [1, 2, 10**6])):
        histogram(np.array(values, dtype=np.int64), tmp_path / f"{k}.png", "t", "x")
        assert Image.open(tmp_path / f"{k}.png").size == (760, 380)
