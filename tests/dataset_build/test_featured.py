"""Scripts with features that a program cannot say: each does what its name says, and a seed gives the same part."""

import ast
import math
import re
from collections import Counter

import pytest

from cadcoder.errors import ConfigError
from dataset_build import featured
from dataset_build.build import main
from dataset_build.feature_kinds import KINDS
from dataset_build.featured import Featured, drafted
from dataset_build.make import make
from dataset_build.readers.rejects import Reason, Reject
from dataset_build.shards import Sample
from dataset_build.sources import SEED_STRIDE, Options, find, find_mix

#: The word in a script by which each kind is known.
WORDS = {"cbore": "cboreHole", "csk": "cskHole", "sector": "revolve"}


def executed(code):
    """The shape of a script of ours, without the sandbox: our own text, and the kernel's own figures."""
    space = {}
    exec(code, space)
    return space["result"].val()


def first(kind, fits=lambda code: True):
    """The first draft of a kind that runs, as (code, its shape)."""
    for seed in range(600):
        made = drafted(seed)
        if made.features[0] == kind and fits(made.code):
            try:
                return made.code, executed(made.code)
            except Exception:  # OpenCascade raises what it likes
                continue
    raise AssertionError(kind)


def runs(code):
    """Whether a script of ours makes one valid solid of the right size, by the kernel alone."""
    try:
        shape = executed(code)
    except Exception:
        return False
    box = shape.BoundingBox()
    longest = max(box.xlen, box.ylen, box.zlen)
    return shape.isValid() and len(shape.Solids()) == 1 and 97 <= longest <= 103


def without(code, word):
    """A script up to the line that holds a word."""
    lines = code.splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if f".{word}(" in line)])


def test_every_kind_is_drawn_in_its_share_and_written_where_it_is_named():
    drafts = [drafted(seed) for seed in range(600)]
    counts = Counter(d.features[0] for d in drafts)
    for kind, share in KINDS.items():
        assert abs(counts[kind] / 600 - share) < 4 * math.sqrt(share * (1 - share) / 600)
    for d in drafts:
        ast.parse(d.code)
        assert len(d.code) < 1800 and len(set(d.features)) == len(d.features) <= 4
        for kind in d.features:
            assert f".{WORDS.get(kind, kind)}(" in d.code
    assert len({d.code for d in drafts}) > 580 and math.isclose(sum(KINDS.values()), 1)


def test_a_draft_hangs_on_its_seed_and_attempt_alone():
    assert drafted(7) == drafted(7) and drafted(7) != drafted(7, 1) and drafted(7) != drafted(8)
    assert all(drafted(s, k).features[0] == drafted(s).features[0] for s in range(20) for k in range(3))


@pytest.mark.parametrize("kind", ["fillet", "chamfer", "cbore", "csk", "shell"])
def test_a_feature_takes_material_away_and_leaves_a_closed_solid(kind):
    word = WORDS.get(kind, kind)
    # A fillet fills what is hollow: here only those of convex edges.
    code, shape = first(kind, lambda c: "Nearest" not in c and "polyline" not in c and ".edges()." not in c)
    before = executed(without(code, word))
    assert shape.isValid() and len(shape.Solids()) == 1
    assert 0 < shape.Volume() < before.Volume() * (0.97 if kind == "shell" else 0.99999)


def test_a_counterbore_has_the_volume_of_its_two_cylinders():
    code, shape = first("cbore", lambda c: c.rstrip().splitlines()[-1].count("cboreHole") and ".vertices()" in c)
    d, head, deep = (float(v) for v in re.search(r"cboreHole\((.+?)\)", code).group(1).split(","))
    body = executed(without(code, "cboreHole"))
    box = body.BoundingBox()
    thick = float(re.search(r"extrude\((.+?)\)", code).group(1))
    taken = 4 * math.pi / 4 * (d**2 * (thick - deep) + head**2 * deep)
    assert math.isclose(body.Volume() - shape.Volume(), taken, rel_tol=1e-6) and box.DiagonalLength < 200


@pytest.mark.parametrize("kind", ["revolve", "sector"])
def test_a_revolve_has_the_volume_of_pappus(kind):
    import cadquery as cq

    code, shape = first(kind, lambda c: c.count("result =") == 1 and ".revolve(" in c)
    section, angle, axis = re.search(r"= (.+)\.revolve\((\d+), \((-?[\d.]+), 0\), ", code).groups()
    faces = eval(section, {"cq": cq})
    flat = cq.Face.makeFromWires(*(lambda w: (w[0], w[1:]))(faces.ctx.pendingWires))
    arm = faces.plane.toLocalCoords(flat.Center()).x - float(axis)
    assert math.isclose(shape.Volume(), flat.Area() * math.radians(float(angle)) * arm, rel_tol=0.01)
    assert shape.isValid()


def test_a_loft_lies_between_its_sections():
    code, shape = first("loft", lambda c: c.count("result =") == 1 and "rect" in c and "circle" in c)
    u, v = (float(x) for x in re.search(r"rect\((.+?)\)", code).group(1).split(","))
    height = float(re.search(r"offset=([\d.]+)", code).group(1))
    r = float(re.search(r"circle\((.+?)\)", code).group(1))
    small, large = sorted([u * v, math.pi * r * r])
    assert small * height < shape.Volume() < large * height and shape.isValid()


def test_what_does_not_run_is_drawn_again_and_what_never_does_is_a_reject(monkeypatch):
    bad = next(s for s in range(600) if not runs(drafted(s).code))
    part = Featured(1, bad).part(0)
    assert part.code == next(d.code for d in (drafted(bad, k) for k in range(1, 8)) if runs(d.code))
    monkeypatch.setattr(featured, "TRIES", 1)
    found = Featured(1, bad).part(0)
    assert isinstance(found, Reject) and found.file == f"features seed {bad}"
    assert found.reason in (Reason.CODE_FAILS, Reason.BUILD_FAILED) and found.detail


def test_sources_and_mixes_know_it(tmp_path):
    source = find("synthetic-features", None, 4, 2)
    assert source == Featured(4, 2 * SEED_STRIDE) and source.name(3) == f"features seed {2 * SEED_STRIDE + 3}"
    with pytest.raises(ConfigError, match="--count"):
        find("synthetic-features", None, None, 0)
    with pytest.raises(ConfigError, match="reads no files"):
        find("synthetic-features", tmp_path, 3, 0)
    mix = find_mix({"synthetic": 0.7, "synthetic-features": 0.3}, {}, 10, 0, Options())
    names = [mix.name(i) for i in range(len(mix))]
    assert len(mix) == 10 and sum(n.startswith("features") for n in names) == 3 and len(set(names)) == 10


def test_a_build_of_twelve(tmp_path, capsys):
    """Twelve parts in a mix, run in the sandbox, opened as a data set; and one of them made again."""
    import datasets
    import pyarrow.parquet as pq

    out = tmp_path / "set"
    given = ["--mix", "synthetic=0.25,synthetic-features=0.75", "--count", "12", "--no-images", "--seed", "3"]
    assert main([*given, "--out", str(out), "--workers", "1", "-q"]) == 0
    rows = list(datasets.load_dataset("parquet", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache")))
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    assert len(rows) + len(rejects) == 12 and len(rejects) <= 1
    mine = [r for r in rows if r["source"].startswith("synthetic-features/")]
    assert len(rows) - len(mine) == 3
    for r in mine:
        made = drafted(r["seed"])
        assert r["program"] == "" and (r["code"] == made.code or r["code"].startswith("import cadquery as cq\n"))
        assert r["source"].partition("/")[2].split("+")[0] in KINDS
    chosen = next(r for r in mine if r["code"] == drafted(r["seed"]).code)
    again = make(Featured(1, chosen["seed"]).part(0), "again", images=False)
    assert isinstance(again, Sample) and (again.code, again.caption) == (chosen["code"], chosen["caption"])
