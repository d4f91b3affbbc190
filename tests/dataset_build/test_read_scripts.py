"""Scripts and tables of scripts as sources, mixes, and proof by the executor."""

import io
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.program import emit, parse
from dataset_build import verify
from dataset_build.build import main
from dataset_build.make import make
from dataset_build.mix import Mix, counts_of
from dataset_build.parts import Part
from dataset_build.png import png
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.scripts import open_scripts
from dataset_build.shards import Sample
from dataset_build.sources import Options, Synthetic, find, find_mix
from dataset_build.synth import sample
from dataset_build.tables import open_tables

DATA = Path(os.environ.get("CADCODER_DATA", Path(__file__).parents[3] / "shared" / "data"))
real = pytest.mark.skipif(not DATA.exists(), reason="the development data is not here")
PLATE = "import cadquery as cq\nresult = cq.Workplane('XY').rect(40, 20).circle(5).extrude(8)\n"
FILLET = "import cadquery as cq\nresult = cq.Workplane().box(10, 20, 30).edges('|Z').fillet(2)\n"
PICTURE = png(np.full((448, 448, 3), 200, np.uint8))


def ends(source):
    parts = [source.part(i) for i in range(len(source))]
    return [p.reason if isinstance(p, Reject) else "program" if p.program else "text" for p in parts]


# ---- a folder of scripts ---------------------------------------------------------------------------------------------


def test_scripts_with_and_without_what_lies_beside_them(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "plate.py").write_text(PLATE)
    (tmp_path / "x" / "plate.png").write_bytes(PICTURE)
    (tmp_path / "fillet.py").write_text(FILLET)
    (tmp_path / "lonely.png").write_bytes(PICTURE)
    (tmp_path / "empty.py").write_text(" \n")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    (tmp_path / "zero.py").write_bytes(b"a\0b")
    (tmp_path / "zz.py").write_text(PLATE)
    (tmp_path / "zz.jpg").write_bytes(PICTURE[:300])
    source = open_scripts(tmp_path, None, keep_pictures=True)
    names = [source.name(i) for i in range(len(source))]
    assert names == ["empty.py", "fillet.py", "latin.py", "x/plate.py", "zero.py", "zz.py"]
    assert ends(source) == [
        Reason.MALFORMED, "text", Reason.MALFORMED, "program", Reason.MALFORMED, Reason.BAD_PICTURE
    ]  # fmt: skip
    part = source.part(3)
    assert part.source == "scripts/x/plate.py" and part.picture == PICTURE
    row = make(part, names[3], images=True)
    assert row.image == PICTURE and json.loads(row.program) and "rect(100, 50)" in row.code
    assert not np.asarray(Image.open(io.BytesIO(row.depth))).any()  # nobody knows the frame of that picture
    assert open_scripts(tmp_path, None).part(3).picture is None
    with pytest.raises(ConfigError, match="no file that ends in .py"):
        open_scripts(tmp_path / "lonely.png", None)


def test_a_script_that_is_no_program_is_run_and_kept_as_it_is(tmp_path):
    (tmp_path / "a.py").write_text(FILLET)
    (tmp_path / "b.py").write_text("import cadquery as cq\nresult = cq.Workplane().box(1, 1, 0)\n")
    (tmp_path / "c.py").write_text("import cadquery as cq\nresult = [")
    source = open_scripts(tmp_path, None)
    rows = [make(source.part(i), source.name(i), images=i == 0) for i in range(3)]
    kept = rows[0]
    assert isinstance(kept, Sample) and (kept.code, kept.program) == (FILLET, "")
    assert kept.caption == "part 30 x 20 x 10" and kept.image
    assert [r.reason for r in rows[1:]] == [Reason.CODE_FAILS] * 2
    assert rows[2].detail.startswith("syntax_error") and rows[2].place == "line 2"


def test_the_step_beside_a_script_decides(tmp_path):
    import cadquery as cq

    plate = cq.Workplane("XY").rect(40, 20).circle(5).extrude(8)
    for name, shape in (("a", plate), ("b", plate.translate((0, 0, 0.1)))):
        (tmp_path / f"{name}.py").write_text(PLATE)
        cq.exporters.export(shape, str(tmp_path / f"{name}.step"))
    (tmp_path / "c.py").write_text(PLATE)
    (tmp_path / "c.step").write_text("ISO-10303-21; no more")
    source = open_scripts(tmp_path, None)
    rows = [make(source.part(i), source.name(i), images=False) for i in range(3)]
    assert isinstance(rows[0], Sample)
    assert [(r.reason, r.place) for r in rows[1:]] == [(Reason.CODE_DIFFERS, "step"), (Reason.UNREADABLE, "step")]
    assert isinstance(make(open_scripts(tmp_path, None, step_iou=0.97).part(1), "b", images=False), Sample)


# ---- proof by the executor -------------------------------------------------------------------------------------------


def test_the_executor_agrees_with_what_was_built():
    for seed in (1, 2, 3):
        program = sample(seed)
        verify.prove(emit(program), program, build(program))
    other = parse(PLATE.replace("40", "41"))
    with pytest.raises(Refused) as e:
        verify.prove(PLATE, other, build(other))
    assert e.value.reason is Reason.CODE_DIFFERS and "0.97" in e.value.detail


def test_a_thin_tube_is_itself():
    program = parse("import cadquery as cq\nr = cq.Workplane().circle(50).circle(49.5).extrude(90)\n")
    verify.prove(emit(program), program, build(program))


def test_verify_modes_of_one_part(tmp_path):
    part = Part(parse(PLATE), "scripts/a", code=PLATE)
    codes = {mode: make(part, "a", images=False, verify=mode).code for mode in verify.MODES}
    assert len(set(codes.values())) == 1
    lie = Part(parse(PLATE), "scripts/a", code=PLATE.replace("40", "50"))
    assert make(lie, "a", images=False, verify="executor").reason is Reason.CODE_DIFFERS
    assert isinstance(make(lie, "a", images=False, verify="fast"), Sample)


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(path, codes, rows_a_group=3, **renamed):
    columns = {
        "image": pa.array([{"bytes": PICTURE, "path": None} for _ in codes]),
        "deepcad_id": pa.array([f"0000/{k:08d}" for k in range(len(codes))]),
        "cadquery": pa.array(codes),
        "token_count": pa.array([7] * len(codes)),
    }
    pq.write_table(pa.table({renamed.get(k, k): v for k, v in columns.items()}), path, row_group_size=rows_a_group)


def test_tables_as_published(tmp_path):
    codes = [emit(sample(k), "gencad") for k in range(8)]
    table(tmp_path / "train-00000-of-00002.parquet", codes[:5])
    table(tmp_path / "train-00001-of-00002.parquet", codes[5:])
    table(tmp_path / "test-00000-of-00001.parquet", codes[:1])
    source = open_tables(tmp_path, None, keep_pictures=True)
    assert len(source) == 8
    order = [7, 0, 4, 5, 1, 1, 6, 2, 3]
    assert [source.part(i).program for i in order] == [parse(codes[i]) for i in order]
    part = source.part(6)
    assert part.source == "gencad-code/0000/00000001" and source.name(6) == "train-00001-of-00002.parquet/1"
    assert part.picture == PICTURE and part.framed
    row = make(part, "", images=True)
    assert row.image == PICTURE and np.asarray(Image.open(io.BytesIO(row.depth))).any()
    assert len(open_tables(tmp_path, None, split="test")) == 1 and len(open_tables(tmp_path, 6)) == 6


def test_tables_with_other_columns_and_faults(tmp_path):
    table(tmp_path / "a.parquet", [PLATE, None, FILLET, ""], cadquery="code", image="picture")
    with pytest.raises(ConfigError, match="no column cadquery.*--columns"):
        open_tables(tmp_path, None)
    with pytest.raises(ConfigError, match="--columns: text"):
        open_tables(tmp_path, None, {"text": "code"})
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    source = open_tables(tmp_path, None, {"code": "code"})
    assert ends(source) == ["program", Reason.MALFORMED, "text", Reason.MALFORMED, Reason.UNREADABLE]
    with pytest.raises(ConfigError, match="no Parquet file"):
        open_tables(tmp_path / "none", None)


# ---- mixes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[5, 5], [3, 7, 11], [1, 2, 97], [10, 0, 3]])
def test_a_mix_takes_every_part_once_and_evenly(counts):
    mix = Mix.of([Synthetic(n, k) for k, n in enumerate(counts)], counts, 0)
    places = [mix.place(i) for i in range(len(mix))]
    assert sorted(places) == [(k, i) for k, n in enumerate(counts) for i in range(n)]
    for stop in range(len(mix)):
        seen = Counter(k for k, _ in places[:stop])
        assert all(abs(seen[k] - n * stop / len(mix)) < len(counts) for k, n in enumerate(counts))


def test_shares_become_whole_numbers():
    assert counts_of(10, [0.5, 0.5]) == [5, 5] and counts_of(10, [0.34, 0.33, 0.33]) == [4, 3, 3]
    assert sum(counts_of(1001, [0.1, 0.2, 0.7])) == 1001


def test_a_mix_is_the_same_again_and_another_with_another_seed(tmp_path):
    for k in range(9):
        (tmp_path / f"{k}.py").write_text(PLATE.replace("40", str(40 + k)))
    shares, inputs = {"scripts": 0.5, "synthetic": 0.5}, {"scripts": tmp_path}
    mixes = [find_mix(shares, inputs, 8, seed, Options()) for seed in (0, 0, 1)]
    names = [[m.name(i) for i in range(len(m))] for m in mixes]
    assert names[0] == names[1] != names[2] and len(names[0]) == 8
    assert sum(n.startswith("seed") for n in names[0]) == 4
    assert len(find_mix(shares, inputs, None, 0, Options())) == 18
    for bad in ({"scripts": 0.5, "synthetic": 0.6}, {"scripts": 1.0}, {"scripts": 0.5, "nothing": 0.5}):
        with pytest.raises(ConfigError):
            find_mix(bad, inputs, 8, 0, Options())
    with pytest.raises(ConfigError, match="holds 9 parts"):
        find_mix(shares, inputs, 100, 0, Options())


def test_a_mixed_set_and_what_meta_says_of_it(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for k in range(3):
        (tmp_path / "in" / f"{k}.py").write_text(PLATE.replace("40", str(40 + k)))
    given = ["--mix", "scripts=0.5,synthetic=0.5", "--input", f"scripts={tmp_path / 'in'}", "--no-images", "-q"]
    assert main([*given, "--out", str(tmp_path / "a"), "--workers", "1"]) == 0
    rows = pq.read_table(tmp_path / "a" / "data").to_pylist()
    assert Counter(r["source"].split("/")[0] for r in rows) == {"scripts": 3, "synthetic": 3}
    plan = json.loads((tmp_path / "a" / "meta.json").read_text())["plan"]
    assert plan["mix"] == {"scripts": 0.5, "synthetic": 0.5} and plan["verify"] == "fast" and plan["parts"] == 6
    for wrong, word in (
        (["--verify", "hard"], "--verify"),
        (["--source", "synthetic"], "--source"),
        (["--input", "scripts=x"], "--input"),
        (["--mix", "deepcad=0.5,synthetic=0.5"], "deepcad-json"),  # a short name for it
    ):
        assert main([*given, *wrong, "--out", str(tmp_path / "b")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and word in err and err.count("\n") == 1


# ---- the real samples ------------------------------------------------------------------------------------------------


@real
def test_published_code_against_published_solids():
    rows = [json.loads(line) for line in (DATA / "gencad_code_dev" / "samples.jsonl").read_text().splitlines()][:6]
    for row in rows:
        part = Part(parse(row["code"]), row["id"], code=row["code"])
        assert isinstance(make(part, row["id"], images=False), Sample)


@real
def test_json_and_8_bit_forms_of_one_part_agree_within_quantisation():
    from dataset_build.readers import deepcad_json

    checked = 0
    for path in sorted((DATA / "deepcad_samples" / "cad_json").rglob("*.json"))[:30]:
        exact, box = deepcad_json.read_with_box(path)
        coarse = find(
            "deepcad-vec", DATA / "deepcad_samples" / "cad_vec" / path.parent.name / f"{path.stem}.h5", None, 0
        )
        part = coarse.part(0)
        assert isinstance(part, Part) and part.source == f"deepcad-vec/{path.stem}.h5"
        scale = 0.75 / np.abs(np.array(box)).max()
        a, b = exact.extrudes, part.program.extrudes
        if len(a) != len(b):
            continue  # the 8-bit form has an extrude for each profile
        for e, q in zip(a, b, strict=True):
            assert e.operation is q.operation
            assert abs(e.forward * scale - q.forward) <= 1 / 128 and abs(e.backward * scale - q.backward) <= 1 / 128
            checked += 1
    assert checked >= 25
