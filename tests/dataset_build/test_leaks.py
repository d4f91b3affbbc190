"""Signatures, duplicates and held-out parts: pose and scale do not matter, a mirror image does."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.geometry.read import read_solid
from cadcoder.geometry.solid import Solid
from cadcoder.program import emit, parse
from cadcoder.program.serialize import from_json, to_json
from dataset_build.build import build_set, main
from dataset_build.families import _stl
from dataset_build.guard import Watch, part_id, read_splits
from dataset_build.heldout import gather
from dataset_build.leaks import NEAR, Seen, report
from dataset_build.leaks import main as leaks_main
from dataset_build.parts import Part
from dataset_build.readers.deepcad_json import read_with_box
from dataset_build.readers.deepcad_vec import read as read_vec
from dataset_build.signature import EXACT, LENGTH, reach, same_part, signature
from dataset_build.synth import sample, sample_solid

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CADCODER_DATA", ROOT.parent / "shared" / "data")) / "deepcad_samples"

#: A hand: no turn makes its mirror image of it.
CHIRAL = """
import cadquery as cq
result = cq.Workplane("XY").rect(80, 50).extrude(10)
result = result.union(cq.Workplane("XY").moveTo(25, 10).rect(30, 30).extrude(40))
result = result.union(cq.Workplane("XY").moveTo(-30, -15).rect(20, 20).extrude(70))
"""


def moved(solid: Solid, seed: int) -> Solid:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() * rng.uniform(0.02, 30)
    return solid.transformed(turn).translated(rng.normal(size=3) * 100)


def mirrored(solid: Solid) -> Solid:
    return solid.transformed(np.diag([-1.0, 1.0, 1.0]))


def test_neither_pose_nor_scale_nor_mirroring_changes_a_signature():
    for seed in range(12):
        solid = sample_solid(seed)[1]
        own = signature(solid)
        assert own.shape == (LENGTH,) and np.isfinite(own).all()
        assert np.abs(signature(moved(solid, seed)) - own)[:EXACT].max() < NEAR / 100
        # The points of the histograms fall elsewhere on a mirrored triangle; the exact numbers stay.
        assert np.abs(signature(mirrored(solid)) - own)[:EXACT].max() < 0.01
        assert same_part(solid, moved(solid, seed), 0.99) > 0.9999


def test_other_parts_have_other_signatures():
    signs = np.array([signature(sample_solid(seed)[1]) for seed in range(60)])
    apart = np.abs(signs[:, None] - signs[None]).max(axis=-1)
    scripts = np.array([emit(sample(seed), dialect="plain") for seed in range(60)])
    others = scripts[:, None] != scripts[None]
    assert (apart[others] > 1).mean() > 0.995


def test_parts_that_differ_by_little_are_within_reach():
    rng = np.random.default_rng(0)
    for seed in range(20):
        solid = sample_solid(seed)[1]
        other = solid.transformed(np.diag(1 + rng.normal(0, 0.004, 3)))
        if solid.iou(other) > 0.985 and same_part(solid, other, 0.99) > 0.99:
            assert np.abs(signature(solid) - signature(other)).max() < 1
    assert reach(0.99) == 1 and reach(0.9) > 10 and reach(0.999) == 1


def test_a_mirror_image_is_another_part():
    hand = build(parse(CHIRAL))
    assert same_part(hand, moved(hand, 1), 0.99) > 0.9999
    assert same_part(hand, mirrored(hand), 0.99) < 0.9
    plate = build(parse('import cadquery as cq\nresult = cq.Workplane("XY").rect(80, 50).circle(9).extrude(10)\n'))
    assert same_part(plate, mirrored(plate), 0.99) > 0.9999  # a plate is its own mirror image


def test_seen_finds_the_same_script_and_the_same_shape():
    seen = Seen()
    programs = [sample(seed) for seed in range(30)] + [parse(CHIRAL)]
    found = []
    for k, program in enumerate(programs):
        text = json.dumps(to_json(program))
        found.append(seen.add(f"part {k}", emit(program), text, signature(build(program))))
    kept = len(seen)
    assert kept == found.count(None) >= 28
    again = parse(CHIRAL)
    assert "script of part 30" in str(seen.add("x", emit(again), "", None))
    # Another script of the same shape: the sketch lies elsewhere and is larger.
    turned = CHIRAL.replace('"XY"', '"XZ"').replace("80, 50", "160, 100").replace("25, 10", "50, 20")
    for a, b in (("30, 30", "60, 60"), ("-30, -15", "-60, -30"), ("20, 20", "40, 40"), ("extrude(10)", "extrude(20)")):
        turned = turned.replace(a, b)
    turned = turned.replace("extrude(40)", "extrude(80)").replace("extrude(70)", "extrude(140)")
    other = parse(turned)
    same = seen.add("y", emit(other), json.dumps(to_json(other)), signature(build(other)))
    assert same is not None and "IoU" in same and "part 30" in same
    hand = parse(CHIRAL.replace("(25, 10)", "(-25, 10)").replace("(-30, -15)", "(30, -15)"))
    assert seen.add("z", emit(hand), json.dumps(to_json(hand)), signature(build(hand))) is None
    assert len(seen) == kept + 1
    # A script that is no program is known by its text alone, and stands in nobody's way.
    sign = signature(sample_solid(777)[1])
    assert seen.add("u", "import cadquery", "", sign) is None
    assert "script of u" in str(seen.add("v", "import cadquery", "", sign))
    program = sample(777)
    assert seen.add("w", emit(program), json.dumps(to_json(program)), sign) is None


@dataclass(frozen=True)
class Repeating:
    """Every part of the synthesiser twice, far apart."""

    count: int = 24

    def __len__(self):
        return self.count

    def name(self, index):
        return f"part {index}"

    def part(self, index):
        seed = index % (self.count // 2)
        program, solid = sample_solid(seed)
        return Part(program, "twice", seed, synthetic=True, solid=solid)


def test_a_build_drops_duplicates_also_when_it_goes_on(tmp_path):
    watch = Watch(unique=True)
    whole = build_set(Repeating(), tmp_path / "a", {"verify": "fast"}, 1, 8, images=False, watch=watch)
    rejects = pq.read_table(tmp_path / "a" / "rejects.parquet").to_pylist()
    dropped = [r["file"] for r in rejects if r["reason"] == "duplicate"]
    assert set(dropped) >= {f"part {k}" for k in range(12, 24)} and whole["samples"] == 24 - len(dropped)
    assert json.loads((tmp_path / "a" / "leaks.json").read_text())["counts"]["duplicate"] == len(dropped)
    # A build that was stopped after its second shard: what the first two hold is read again.
    out = tmp_path / "b"
    for name in ("meta.json", "data/train-00000-of-00003.parquet", "data/train-00001-of-00003.parquet"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes((tmp_path / "a" / name).read_bytes())
    meta = json.loads((out / "meta.json").read_text())
    for k in ("samples", "shards", "rejects"):
        del meta[k]
    (out / "meta.json").write_text(json.dumps(meta | {"complete": False}))
    (out / ".work").mkdir()
    for k in range(2):
        mine = [[r["reason"], r["file"], r["place"], r["detail"]] for r in rejects if int(r["file"][5:]) // 8 == k]
        (out / ".work" / f"rejects-{k:05d}.json").write_text(json.dumps(mine))
    build_set(Repeating(), out, {"verify": "fast"}, 1, 8, images=False, watch=watch)
    for path in sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        assert (out / path.relative_to(tmp_path / "a")).read_bytes() == path.read_bytes(), path.name


def test_held_out_parts_are_kept_out(tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    (held / "turned.stl").write_bytes(_stl(moved(sample_solid(4)[1], 3)))
    (held / "script.py").write_text(emit(sample(9)))
    (held / "broken.step").write_text("not a solid")
    (held / "evil.py").write_text("import os\nos.system('touch evil')\n")
    out = tmp_path / "out"
    given = ["--source", "synthetic", "--count", "12", "--no-images", "--workers", "1", "-q", "--out", str(out)]
    assert main([*given, "--exclude", str(held)]) == 0
    rejects = {r["file"]: r for r in pq.read_table(out / "rejects.parquet").to_pylist()}
    assert {"seed 4", "seed 9"} <= {*rejects} and {r["reason"] for r in rejects.values()} == {"held_out"}
    assert "turned.stl" in rejects["seed 4"]["detail"] and "script.py" in rejects["seed 9"]["detail"]
    leaks = json.loads((out / "leaks.json").read_text())
    assert leaks["held_out_parts"] == 2 and leaks["unreadable"] == ["broken.step", "evil.py"]
    assert not (Path.cwd() / "evil").exists() and not (out / ".work").exists()
    # The finished set against the same folder: nothing is left.
    found = report(out, [held], held=tmp_path / "work")
    assert found["held_out"] == 0 and found["parts"] == 12 - len(rejects)


def test_the_report_of_a_leaky_set(tmp_path, capsys):
    build_set(Repeating(), tmp_path / "a", {"verify": "fast"}, 1, 50, images=False)
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "five.stl").write_bytes(_stl(moved(sample_solid(5)[1], 8)))
    given = [str(tmp_path / "a"), "--against", str(tmp_path / "held"), "--out", str(tmp_path / "leaks.json")]
    assert leaks_main(given) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["parts"] == 24 and said["same_script"] >= 12 and said["held_out"] == 2
    rows = json.loads((tmp_path / "leaks.json").read_text())
    assert [r["part"].partition(":")[2] for r in rows["leaked"]] == ["5", "17"]
    assert leaks_main([str(tmp_path / "held")]) == 2 and "error: " in capsys.readouterr().err
    assert leaks_main([str(tmp_path / "a"), "--alike", "2"]) == 2 and "--alike" in capsys.readouterr().err


def test_split_files(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["0000/00000007"], "test": ["0000/00000008"]}))
    guard = Watch(split_file=path, split="train").guard(tmp_path / "none")
    assert guard.before("cad_json/0000/00000007.json") is None
    assert "test" in guard.before("data.zip/cad_json/0000/00000008.json").detail
    assert "no split" in guard.before("0000/00000009.h5").detail
    assert guard.before("seed 5") is None
    with pytest.raises(ConfigError, match="--split"):
        read_splits(path, "validation")
    with pytest.raises(ConfigError, match="--split-file"):
        Watch(split_file=tmp_path / "absent", split="train").plan()
    with pytest.raises(ConfigError, match="--alike.*--exclude"):
        Watch((tmp_path / "absent",), alike=1.5).plan()


@pytest.mark.skipif(not DATA.exists(), reason="the development data is not here")
def test_deepcad_s_own_splits_and_the_two_forms_of_a_part(tmp_path):
    split_file = DATA / "train_val_test_split.json"
    splits = read_splits(split_file, "train")
    files = sorted((DATA / "cad_json").rglob("*.json"))[:20]
    given = ["--source", "deepcad-json", "--input", str(DATA / "cad_json"), "--count", "20", "--no-images", "-q"]
    assert main([*given, "--workers", "1", "--split-file", str(split_file), "--out", str(tmp_path / "a")]) == 0
    rejects = pq.read_table(tmp_path / "a" / "rejects.parquet").to_pylist()
    other = {r["file"] for r in rejects if r["reason"] == "other_split"}
    assert {part_id(f) for f in other} == {part_id(str(f)) for f in files if splits.get(part_id(str(f))) != "train"}
    # A part as JSON is found among parts as 8-bit sequences where the two agree so well; few agree to 0.99.
    near = 0
    for path in files:
        both = read_with_box(path), read_vec(DATA / "cad_vec" / path.parent.name / f"{path.stem}.h5")
        exact, coarse = build(both[0][0]), build(both[1])
        iou = same_part(exact, coarse, 0.95)
        if iou > 0.95:
            near += 1
            assert np.abs(signature(exact) - signature(coarse)).max() < reach(0.95)
    assert near >= 8


def test_gathering_is_done_once(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.stl").write_bytes(_stl(sample_solid(1)[1]))
    first = gather([tmp_path / "in"], tmp_path / "held")
    assert np.allclose(first.solid(0).volume, read_solid(tmp_path / "in" / "a.stl").volume)
    (tmp_path / "in" / "a.stl").unlink()
    assert gather([tmp_path / "in"], tmp_path / "held").names == ["a.stl"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no solid"):
        gather([tmp_path / "empty"], tmp_path / "other")
    assert from_json(to_json(sample(1))) == sample(1)
