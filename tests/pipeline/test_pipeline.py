"""Picture to part with a scripted drafter in place of a model: everything after the model is the real thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cadcoder
from cadcoder.choose import MORE_ROUNDS
from cadcoder.errors import ConfigError, InputError, NoValidScript
from cadcoder.geometry.build import build
from cadcoder.geometry.metrics import iou_best
from cadcoder.geometry.read import read_solid
from cadcoder.part import NothingRuns, Part
from cadcoder.pipeline import Options, Pipeline
from cadcoder.program import parse
from cadcoder.refine.bank import describe_gencad, make_bank, principal
from cadcoder.render.gencad import render_gencad
from cadcoder.sandbox import Executor

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PICTURE = EXAMPLES / "spacer_ring.png"
RING = (EXAMPLES / "spacer_ring.py").read_text()
PLATE = (EXAMPLES / "plate_with_holes.py").read_text()
BOX = 'import cadquery as cq\nresult = cq.Workplane("XY").rect(10, 20).extrude(5)\n'
SYNTAX = "import cadquery as cq\nresult = cq.Workplane(\n"
NOTHING = "import cadquery as cq\nx = 1\n"
#: Builds a solid, but is no sketch-extrude program.
CONE = 'import cadquery as cq\nr = cq.Workplane("XY").circle(20).workplane(offset=30).circle(5).loft()\n'
SOLID = "import cadquery as cq\nsolid = cq.Solid.makeCone(20, 5, 30)\n"


class Scripted:
    """Writes what it is told, by seed; the last entry for every later seed."""

    name = "scripted"

    def __init__(self) -> None:
        self.scripts: list[list[str]] = [[BOX]]
        self.asked: list[tuple[int, int]] = []

    def candidates(self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int = 512) -> Sequence[str]:
        assert image.mode == "RGB"
        self.asked.append((n, seed))
        return self.scripts[min(seed, len(self.scripts) - 1)][:n]

    def say(self, *scripts: list[str]) -> None:
        self.scripts, self.asked = list(scripts), []


@pytest.fixture(scope="module")
def drafter() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(workers=2, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def pipeline(drafter: Scripted, executor: Executor) -> Iterator[Pipeline]:
    with Pipeline(drafter, executor=executor) as opened:
        yield opened


def test_takes_the_candidate_most_like_the_picture(pipeline: Pipeline, drafter: Scripted) -> None:
    drafter.say([SYNTAX, BOX, RING, BOX, NOTHING])
    part = pipeline.generate(PICTURE, Options(candidates=5, refine=False, style="raw"))
    assert part.code == RING
    assert [c.outcome.status for c in part.candidates] == ["syntax_error", "ok", "ok", "no_result"]
    assert part.chosen == 2
    assert part.likeness is not None
    assert part.likeness > 0.9 > (part.candidates[1].likeness or 1)
    assert part.candidates[0].likeness is None
    assert part.model == "scripted"
    assert drafter.asked == [(5, 0)]
    row = part.to_json()
    assert row["outcome"] == "ok"
    assert [c["outcome"] for c in row["candidates"]] == ["syntax_error", "ok", "ok", "no_result"]


def test_samples_more_where_none_runs(pipeline: Pipeline, drafter: Scripted) -> None:
    drafter.say([SYNTAX], [NOTHING, "1/0"], [BOX])
    part = pipeline.generate(PICTURE, Options(refine=False, style="raw"))
    assert part.code == BOX
    assert [seed for _, seed in drafter.asked] == [0, 1, 2]


def test_never_an_empty_script(pipeline: Pipeline, drafter: Scripted) -> None:
    drafter.say([SYNTAX], ["", "raise ValueError('no')"], [NOTHING])
    with pytest.raises(NoValidScript, match="none of the 4 scripts") as caught:
        pipeline.generate(PICTURE)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, NothingRuns)
    assert not any(c.outcome.ok for c in caught.value.candidates)
    assert len(drafter.asked) == 1 + MORE_ROUNDS


def test_a_hostile_script_is_only_a_bad_candidate(drafter: Scripted, tmp_path: Path) -> None:
    target = tmp_path / "written"
    write = f"import cadquery as cq\nopen({str(target)!r}, 'w').write('x')\nresult = cq.Workplane('XY').box(1, 1, 1)\n"
    endless = "while True: pass\n"
    drafter.say([endless, write, BOX])
    with Executor(workers=2, timeout=3) as executor, Pipeline(drafter, executor=executor) as pipeline:
        part = pipeline.generate(PICTURE, Options(candidates=3, refine=False, style="raw"))
    assert part.code == BOX
    assert part.candidates[0].outcome.status == "timeout"
    assert not target.exists()


@pytest.mark.parametrize("style", ["editable", "plain", "raw"])
@pytest.mark.parametrize(
    ("size", "extents", "unit"),
    [
        (None, (80, 80, 32), "mm"),
        ("40", (40, 40, 16), "mm"),
        ("z=64mm", (160, 160, 64), "mm"),
        ("y=1.5in", (1.5, 1.5, 0.6), "in"),
        (0.37, (0.37, 0.37, 0.148), "mm"),
    ],
)
def test_style_and_size(
    pipeline: Pipeline, drafter: Scripted, style: str, size: str | None, extents: tuple[float, ...], unit: str
) -> None:
    drafter.say([RING])
    part = pipeline.generate(PICTURE, Options(size=size, style=style, refine=False))  # type: ignore[arg-type]
    assert part.style == style
    assert part.unit == unit
    assert np.allclose(part.extents, extents, rtol=1e-4)
    assert np.allclose(part.solid.extents, extents, rtol=2e-3)
    assert part.program is not None or style == "raw"
    again = pipeline.run(part.code)
    assert again.ok
    if size is not None:
        assert f"All lengths in {unit}" in part.code


@pytest.mark.parametrize("code", [CONE, SOLID])
@pytest.mark.parametrize("style", ["editable", "raw"])
def test_a_script_that_does_not_parse(pipeline: Pipeline, drafter: Scripted, code: str, style: str) -> None:
    drafter.say([code])
    part = pipeline.generate(PICTURE, Options(style=style, refine=False))  # type: ignore[arg-type]
    assert part.code == code
    assert part.style == "raw"
    assert part.program is None
    scaled = pipeline.generate(PICTURE, Options(style=style, size="z=6cm", refine=False))  # type: ignore[arg-type]
    assert scaled.code.startswith(code)
    assert np.allclose(scaled.solid.extents, (8, 8, 6), rtol=5e-3)


def test_refining_never_makes_it_worse(pipeline: Pipeline, drafter: Scripted) -> None:
    off = RING.replace("circle(16)", "circle(13)").replace("extrude(20)", "extrude(24)")
    drafter.say([off])
    plain = pipeline.generate(PICTURE, Options(style="plain", refine=False))
    fitted = pipeline.generate(PICTURE, Options(style="plain", refine=True))
    assert plain.likeness is not None
    assert fitted.likeness is not None
    assert fitted.likeness >= plain.likeness
    assert pipeline.run(fitted.code).ok


def test_exports(pipeline: Pipeline, drafter: Scripted, tmp_path: Path) -> None:
    drafter.say([RING])
    part = pipeline.generate(PICTURE, Options(size="2in", refine=False))
    for suffix, unit in ((".step", 25.4), (".stp", 25.4), (".stl", 25.4), (".glb", 0.0254), (".brep", 1.0)):
        path = part.export(tmp_path / f"ring{suffix}")
        assert np.allclose(sorted(read_solid(path).extents), np.array([0.8, 2, 2]) * unit, rtol=5e-3), suffix
    assert part.export(tmp_path / "ring.py").read_text() == part.code
    with Image.open(part.export(str(tmp_path / "ring.PNG"))) as picture:
        assert picture.size == (448, 448)
    assert part._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no export is known"):
        part.export(tmp_path / "ring.obj")
    with pytest.raises(InputError, match="no folder"):
        part.export(tmp_path / "none" / "ring.stl")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".PNG", ".brep", ".glb", ".py", ".step", ".stl", ".stp"]


def test_a_bad_picture_does_not_stop_the_rest(pipeline: Pipeline, drafter: Scripted, tmp_path: Path) -> None:
    drafter.say([BOX])
    blank = Image.new("RGB", (64, 64), "white")
    items = [PICTURE, tmp_path / "none.png", EXAMPLES / "guide_rail.png", blank]
    found = list(pipeline.generate_many(items, Options(refine=False)))
    assert [item for item, _ in found] == items
    kinds = [type(result) for _, result in found]
    assert kinds == [Part, InputError, Part, InputError]


def test_batches_give_what_single_pictures_give(executor: Executor) -> None:
    class Batched(Scripted):
        def candidates_batch(
            self, images: Sequence[Image.Image], n: int = 1, seed: int = 0, max_new_tokens: int = 512
        ) -> list[Sequence[str]]:
            return [self.candidates(image, n, seed, max_new_tokens) for image in images]

    batched = Batched()
    batched.say([PLATE, RING])
    items = [EXAMPLES / f"{name}.png" for name in ("spacer_ring", "plate_with_holes")]
    with Pipeline(batched, executor=executor) as pipeline:
        options = Options(candidates=2, style="raw", refine=False)
        together = [part.code for _, part in pipeline.generate_many(items, options) if isinstance(part, Part)]
        alone = [pipeline.generate(item, options).code for item in items]
    assert together == alone
    assert together == [RING, PLATE]


def test_many_pictures_come_in_order_and_are_not_read_far_ahead(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Batched(Scripted):
        def candidates_batch(
            self, images: Sequence[Image.Image], n: int = 1, seed: int = 0, max_new_tokens: int = 512
        ) -> list[Sequence[str]]:
            return [self.candidates(image) for image in images]

        def candidates(self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int = 512) -> Sequence[str]:
            return [BOX.replace("10", str(image.width // 10))]  # the width of the picture says which box it is

    monkeypatch.setattr("cadcoder.pipeline.BATCH", 2)
    ring = Image.open(PICTURE).convert("RGB")
    taken: list[int] = []

    def pictures() -> Iterator[Image.Image | Path]:
        for k in range(40):
            taken.append(k)
            yield tmp_path / "none.png" if k == 2 else ring.resize((100 + 10 * k, 100))

    with Pipeline(Batched(), executor=executor) as pipeline:
        found = pipeline.generate_many(pictures(), Options(style="raw", refine=False))
        codes = [part.code if isinstance(part, Part) else None for _, part in (next(found) for _ in range(5))]
        found.close()  # type: ignore[attr-defined]
        assert len(taken) <= 8
    assert codes == [BOX.replace("10", str(10 + k)) if k != 2 else None for k in range(5)]


def test_from_python() -> None:
    scripted = Scripted()
    scripted.say([RING])
    part = cadcoder.generate(np.asarray(Image.open(PICTURE).convert("RGB")), model=scripted, size=40, refine=False)
    assert isinstance(part, cadcoder.Part)
    assert part.program is not None
    assert "40 x 40 x 16 mm" in repr(part)
    assert part.exported("stl")["stl"]  # after the pipeline was closed


def test_options_are_checked_at_once() -> None:
    with pytest.raises(ConfigError, match=r"candidates .* seed .* max_new_tokens .* style"):
        Options(candidates=0, seed=-1, max_new_tokens=0, style="nice")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown unit"):
        Options(size="40 parsec")
    with pytest.raises(InputError, match="candidates"):
        Pipeline(3)  # type: ignore[arg-type]


def test_a_program_of_the_bank_is_fitted_where_the_model_knows_nothing(
    drafter: Scripted, executor: Executor, tmp_path: Path
) -> None:
    scripts = [
        'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).circle(9).extrude(12)\n',
        'import cadquery as cq\n\nresult = cq.Workplane("XZ").circle(20).extrude(100)\n',
        'import cadquery as cq\n\nresult = cq.Workplane("XY").circle(50).circle(18).extrude(14)\n'
        'result = result.union(cq.Workplane("XY", origin=(0, 0, 14)).circle(30).circle(18).extrude(20))\n',
    ]
    drawn = [np.asarray(Image.fromarray(render_gencad(build(parse(text)))).convert("L")) for text in scripts]
    descriptions = np.stack([describe_gencad(d) for d in drawn])
    mean, basis = principal(descriptions, 2)
    make_bank(scripts, (descriptions - mean) @ basis, mean, basis).save(tmp_path / "bank.npz")
    truth = build(parse(RING))
    drafter.say([BOX])
    found = {}
    for bank in (None, tmp_path / "bank.npz"):
        with Pipeline(drafter, executor=executor, bank=bank) as pipeline:
            found[bank is not None] = pipeline.generate(PICTURE)
    assert found[False].origin in ("model", "shape")
    assert found[True].origin == "bank"
    assert found[True].to_json()["origin"] == "bank"
    assert iou_best(found[True].solid, truth) > 0.9 > iou_best(found[False].solid, truth)
    with Pipeline(drafter, executor=executor, bank=tmp_path / "bank.npz") as pipeline:
        assert pipeline.generate(PICTURE, Options(refine=False)).origin == "model"
    drafter.say([SYNTAX])  # nothing that runs: the bank still does, where it may be asked
    with Pipeline(drafter, executor=executor, bank=tmp_path / "bank.npz") as pipeline:
        part = pipeline.generate(PICTURE)
        assert (part.origin, part.chosen, part.to_json()["chosen"]) == ("bank", None, None)
        assert [c.outcome.status for c in part.candidates] == ["syntax_error"]
        assert iou_best(part.solid, truth) > 0.9
        with pytest.raises(NothingRuns):
            pipeline.generate(PICTURE, Options(effort=0))
    (tmp_path / "bank.npz").write_bytes(b"")
    with (
        Pipeline(drafter, executor=executor, bank=tmp_path / "bank.npz") as pipeline,
        pytest.raises(InputError, match="no bank of programs"),
    ):
        pipeline.generate(PICTURE)
