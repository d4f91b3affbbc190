"""Scripts are counted by any tokenizer, and builds write the dialect that is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cadcoder.geometry.build import build
from cadcoder.program import emit, parse
from cadcoder.program.serialize import from_json
from dataset_build import tokens
from dataset_build.build import main as build_main
from dataset_build.synth import sample
from dataset_build.tokens import FORMS, counter, main

DATA = Path(os.environ.get("CADCODER_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def letters(tmp_path_factory) -> Path:
    """A tokenizer of one token a letter."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    texts = [emit(sample(seed), d) for seed in range(5) for d in ("plain", "gencad", "short")]
    vocabulary = {c: i for i, c in enumerate(["?", *sorted({*"".join(texts)} - {"?"})])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    folder = tmp_path_factory.mktemp("letters")
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_lengths_of_a_set_by_two_tokenizers(letters, capsys):
    assert main(["--a", "synthetic:5", "--tokenizer", str(letters), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["parts"] == 5 and found["failed"] == 0 and found["least iou"] > 0.9999
    rows = {(r["unit"], r["form"]): r for r in found["rows"]}
    programs = [sample(seed) for seed in range(5)]
    lengths = sorted(len(emit(p, "plain")) for p in programs)
    assert rows["characters", "plain"]["median"] == lengths[2]
    for form in FORMS:
        assert rows[f"tokens of {letters.name}", form]["median"] == pytest.approx(rows["characters", form]["median"])
    assert rows["tokens", "plain"]["of published, medians"] <= 0.4
    assert rows["characters", "short"]["median"] <= rows["characters", "plain"]["median"]
    assert rows["characters", "gencad"]["of published, medians"] == 1.0


def test_the_table_is_markdown_with_a_row_a_unit(letters, capsys):
    assert main(["--a", "synthetic:2", "--tokenizer", str(letters / "tokenizer.json")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("`synthetic:2`: 2 parts, 0 without a script, IoU at least 1.0")
    assert "| | published | gencad | plain | short |" in out
    assert [line.split(",")[0] for line in out.splitlines() if ", median |" in line] == [
        "| tokens",
        "| tokens of tokenizer.json",
        "| characters",
    ]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--a", "nothing"], "a set is deepcad:DIR"),
        (["--a", "set:/nowhere"], "there is no data/*.parquet"),
        (["--a", "deepcad:/nowhere"], "there is no cad_json"),
        (["--a", "scripts:/nowhere.jsonl"], "not a file of JSON Lines"),
        (["--a", "synthetic:2", "--tokenizer", "/nowhere/tokenizer.json"], "--tokenizer: /nowhere/tokenizer.json"),
    ],
)
def test_what_cannot_be_counted_is_told_in_one_line(argv, said, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_scripts_that_are_no_program_have_no_texts(tmp_path, capsys):
    file = tmp_path / "scripts.jsonl"
    good, bad = emit(sample(1), "gencad"), "import cadquery as cq\nresult = cq.Workplane().sphere(3)\n"
    file.write_text("".join(json.dumps({"code": c}) + "\n" for c in (good, bad, "(")))
    assert main(["--a", f"scripts:{file}", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["parts"], found["failed"]) == (1, 2) and found["least iou"] >= 0.999
    file.write_text(json.dumps({"code": bad}) + "\n")
    assert main(["--a", f"scripts:{file}"]) == 2
    assert "holds no part" in capsys.readouterr().err


def test_the_default_tokenizer_gives_a_number_of_the_grid_one_token():
    count = counter(None)
    assert count(["import cadquery as cq\n"])[0] < 5
    assert count([", 12.5"]) == [1]


@pytest.mark.parametrize("dialect", ["short", "gencad"])
def test_a_build_in_another_dialect(dialect, tmp_path, capsys):
    out = tmp_path / dialect
    argv = ["--source", "synthetic", "--count", "12", "--no-images", "--workers", "1", "-q", "--out", str(out)]
    assert build_main([*argv, "--dialect", dialect]) == 0
    assert json.loads((out / "meta.json").read_text())["plan"]["dialect"] == dialect
    rows = [r for f in sorted((out / "data").glob("*.parquet")) for r in pq.read_table(f).to_pylist()]
    assert len(rows) == 12
    for row in rows:
        program = from_json(json.loads(row["program"]))
        assert row["code"] == emit(program, dialect)
        assert build(parse(row["code"])).iou(build(sample(row["seed"]))) > 0.998
    assert main(["--a", f"set:{out}", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["parts"] == 12 and found["least iou"] > 0.998
    assert build_main([*argv, "--dialect", "verbose"]) == 2
    assert "--dialect: 'verbose' is not one of plain, short, gencad" in capsys.readouterr().err


def test_real_parts_in_the_short_dialect(tmp_path):
    source = DATA / "deepcad_samples"
    if not source.exists():
        pytest.skip("no ../shared/data")
    argv = ["--source", "deepcad-vec", "--input", str(source), "--count", "20", "--no-images", "--workers", "1", "-q"]
    codes = {}
    for dialect in ("plain", "short"):
        out = tmp_path / dialect
        assert build_main([*argv, "--dialect", dialect, "--out", str(out)]) == 0
        codes[dialect] = [
            c for f in sorted((out / "data").glob("*.parquet")) for c in pq.read_table(f)["code"].to_pylist()
        ]
    assert len(codes["plain"]) == len(codes["short"]) > 18
    for plain, short in zip(codes["plain"], codes["short"], strict=True):
        assert len(short) < len(plain)
        assert build(parse(short)).iou(build(parse(plain))) >= 0.999


def test_real_scripts_are_at_most_two_fifths_of_the_published_ones(capsys):
    samples = DATA / "gencad_code_dev" / "samples.jsonl"
    if not samples.exists():
        pytest.skip("no ../shared/data")
    found = tokens.measure(tokens.texts_of(f"scripts:{samples}"), {"tokens": counter(None)})
    assert (found.parts, found.failed) == (25, 0) and found.iou >= 0.999
    shares = {r["form"]: r["of published, medians"] for r in found.rows()}
    assert shares["plain"] <= 0.4
