"""Programs as JSON, loop names, layouts, captions, united regions and the measuring."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadcoder.errors import ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.program.serialize import from_json, to_json
from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import (
    Arc,
    Circle,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Profile,
    Program,
    Sketch,
)
from dataset_build import statistics
from dataset_build.caption import caption
from dataset_build.loop_kinds import layout, loop_kind
from dataset_build.make import snapped
from dataset_build.regions import joined, on_grid, separated, united


def rect(w, h, x=0.0, y=0.0):
    return Shape("rect", (w, h), (x, y)).loop()


def disc(r, x=0.0, y=0.0):
    return Loop((Circle((x, y), r),))


def prism(*profiles, depth=10.0, op=Operation.NEW, plane=None, backward=0.0):
    made = tuple(p if isinstance(p, Profile) else Profile(p) for p in profiles)
    return Extrude(Sketch(made, plane or Plane()), depth, backward, op)


# ---- JSON -----------------------------------------------------------------------------------------------------------

number = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def programs(draw):
    extrudes = []
    for k in range(draw(st.integers(1, 3))):
        loops = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from(["circle", "rect", "bow"]))
            x, y = draw(number), draw(number)
            if kind == "circle":
                loops.append(disc(draw(st.floats(1e-3, 1e3)), x, y))
            elif kind == "rect":
                loops.append(rect(draw(st.integers(1, 9)), draw(st.floats(0.5, 9)), round(x), round(y)))
            else:
                loops.append(Loop((Line((0, 0), (1 + 1e-8, 0)), Arc((1, 0), (0.5, draw(st.floats(0.1, 3))), (0, 0)))))
        plane = draw(st.sampled_from([Plane(), Plane((1.5, -0.0, 3), (0, 1, 0), (1, 0, 0.1))]))
        op = Operation.NEW if k == 0 else draw(st.sampled_from(list(Operation)))
        profiles = (Profile(loops[0], tuple(loops[1:])),)
        extrudes.append(
            Extrude(Sketch(profiles, plane), draw(st.floats(0.1, 50)), draw(st.sampled_from([0, 2, 1 / 3])), op)
        )
    return Program(tuple(extrudes))


@settings(max_examples=150, deadline=None)
@given(programs())
def test_json_gives_the_program_back_exactly(program):
    text = json.dumps(to_json(program))
    assert from_json(json.loads(text)) == program
    assert json.dumps(to_json(from_json(json.loads(text)))) == text


def test_json_is_short():
    text = json.dumps(to_json(Program((prism(rect(100, 60)),))), separators=(",", ":"))
    assert len(text) < 120 and '"v":1' in text


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        {"v": 2, "extrudes": []},
        {"v": 1},
        {"v": 1, "extrudes": []},
        {"v": 1, "extrudes": [{"op": "weld", "to": 1, "profiles": [[[["C", 0, 0, 1]]]]}]},
        {"v": 1, "extrudes": [{"op": "new", "to": 1, "profiles": [[]]}]},
        {"v": 1, "extrudes": [{"op": "new", "to": 1, "profiles": [[[]]]}]},
        {"v": 1, "extrudes": [{"op": "new", "to": 1, "profiles": [[[["Q", 0, 0, 1]]]]}]},
        {"v": 1, "extrudes": [{"op": "new", "to": 1, "profiles": [[[["C", 0, 0, "x"]]]]}]},
        {"v": 1, "extrudes": [{"op": "new", "to": 0, "profiles": [[[["C", 0, 0, 1]]]]}]},
    ],
)
def test_json_faults_are_one_clear_line(data):
    with pytest.raises(InputError) as e:
        from_json(data)
    assert "\n" not in str(e.value)


# ---- loop names and layouts -----------------------------------------------------------------------------------------


def polygon(*points):
    return closed([(float(x), float(y)) for x, y in points])


def rounded(w, h, r):
    c = r * (1 - math.sqrt(0.5))
    a, b = w - r, h - r
    curves = (
        Line((r, 0), (a, 0)),
        Arc((a, 0), (w - c, c), (w, r)),
        Line((w, r), (w, b)),
        Arc((w, b), (w - c, h - c), (a, h)),
        Line((a, h), (r, h)),
        Arc((r, h), (c, h - c), (0, b)),
        Line((0, b), (0, r)),
        Arc((0, r), (c, c), (r, 0)),
    )
    return Loop(curves)


@pytest.mark.parametrize(
    ("loop", "name"),
    [
        (disc(3), "circle"),
        (rect(4, 2), "rectangle"),
        (Shape("slot", (10.0, 4.0, 30.0), (0.0, 0.0)).loop(), "slot"),
        (Shape("polygon", (6.0, 10.0), (0.0, 0.0)).loop(), "regular polygon"),
        (rounded(10, 6, 1), "rounded rectangle"),
        (polygon((0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)), "L"),
        (polygon((0, 0), (4, 0), (4, 3), (3, 3), (3, 1), (1, 1), (1, 3), (0, 3)), "U"),
        (polygon((0, 0), (4, 0), (4, 1), (3, 1), (3, 3), (1, 3), (1, 1), (0, 1)), "T"),
        (polygon((0, 0), (3, 0), (3, 2), (5, 2), (5, 3), (2, 3), (2, 1), (0, 1)), "Z"),
        (polygon((0, 0), (3, 0), (3, 1), (2, 1), (2, 2), (1, 2), (1, 3), (0, 3)), "staircase"),
        (polygon((0, 0), (4, 0), (3, 2), (1, 2)), "trapezoid"),
        (polygon((0, 0), (4, 0), (5, 2), (1, 2)), "parallelogram"),
        (polygon((0, 0), (2, 2), (1, 3), (-1, 1)), "turned rectangle"),
        (polygon((0, 0), (4, 0), (1, 3)), "triangle"),
        (polygon((0, 0), (4, 0), (5, 2), (2, 4), (-1, 2)), "convex polygon"),
        (polygon((0, 0), (2, 0), (4, 0), (4, 2), (0, 2)), "rectangle"),
        (Loop((Line((-1, 0), (1, 0)), Arc((1, 0), (0, 1), (-1, 0)))), "disc segment"),
    ],
)
def test_loop_kinds(loop, name):
    assert loop_kind(loop) == name


@pytest.mark.parametrize(
    ("points", "name"),
    [
        ([(0, 0), (5, 1)], "pair"),
        ([(0, 0), (1, 1), (2, 2)], "even line"),
        ([(0, 0), (1, 1), (5, 5)], "line"),
        ([(0, 0), (4, 0), (0, 2), (4, 2)], "grid"),
        ([(math.cos(t), math.sin(t)) for t in (0.3, 0.3 + 2 * math.pi / 3, 0.3 + 4 * math.pi / 3)], "ring"),
        ([(0, 0), (4, 1), (2, 5), (9, 9)], "scattered"),
    ],
)
def test_layouts(points, name):
    assert layout(points) == name


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (Program((prism(rect(100, 60)),)), "plate 100 x 60 x 10"),
        (
            Program((prism(Profile(rect(100, 60), tuple(disc(4, x, y) for x in (-9, 9) for y in (-9, 9)))),)),
            "plate 100 x 60 x 10 with 4 holes",
        ),
        (Program((prism(disc(50), depth=5),)), "disc 100 x 100 x 5"),
        (Program((prism(Profile(disc(50), (disc(40),)), depth=80),)), "tube 100 x 100 x 80"),
        (Program((prism(rect(10, 10), depth=100),)), "bar 100 x 10 x 10"),
        (Program((prism(rect(50, 50), depth=50),)), "cube 50 x 50 x 50"),
        (
            Program((prism(rect(100, 60)), prism(disc(8), op=Operation.JOIN, depth=15, plane=Plane((0, 0, 10))))),
            "plate 100 x 60 x 25 with a round boss",
        ),
        (
            Program((prism(rect(100, 60)), prism(disc(8), disc(8, 30), op=Operation.CUT))),
            "plate 100 x 60 x 10 with 2 holes",
        ),
    ],
)
def test_captions(program, text):
    assert caption(program, build(program).extents) == text


def test_caption_plurals():
    bosses = prism(disc(8, -20), disc(8, 20), op=Operation.JOIN, depth=15, plane=Plane((0, 0, 10)))
    program = Program((prism(rect(100, 60)), bosses))
    assert caption(program, (100, 60, 25)) == "plate 100 x 60 x 25 with 2 round bosses"


def test_caption_counts_bodies():
    program = Program((prism(rect(10, 10)), prism(rect(10, 10, 50), op=Operation.NEW)))
    assert caption(program, (60, 10, 10), 2).endswith("in 2 separate bodies")


# ---- regions --------------------------------------------------------------------------------------------------------


def test_ring_and_disc_are_one_disc():
    p = Program((prism(Profile(disc(10), (disc(4),)), disc(4)),))
    (profile,) = united(p).extrudes[0].sketch.profiles
    assert profile == Profile(disc(10))


def test_neighbours_lose_the_edge_between_them():
    p = Program((prism(rect(10, 10), rect(6, 10, 8)),))
    (profile,) = united(p).extrudes[0].sketch.profiles
    assert profile.outer.bounds() == (-5, -5, 11, 5) and not profile.holes
    assert build(united(p)).volume == pytest.approx(1600)


def test_a_ring_of_regions_keeps_its_hole():
    walls = [
        polygon((-5, -5), (5, -5), (4, -4), (-4, -4)),
        polygon((5, -5), (5, 5), (4, 4), (4, -4)),
        polygon((5, 5), (-5, 5), (-4, 4), (4, 4)),
        polygon((-5, 5), (-5, -5), (-4, -4), (-4, 4)),
    ]
    (profile,) = united(Program((prism(*walls),))).extrudes[0].sketch.profiles
    assert len(profile.holes) == 1 and abs(profile.holes[0].signed_area()) == 64


def test_overlapping_regions_become_extrudes_of_their_own():
    p = Program((prism(disc(10), disc(10, 12), disc(3, 50)),))
    apart = separated(p)
    assert [len(e.sketch.profiles) for e in apart.extrudes] == [2, 1]
    assert [e.operation for e in apart.extrudes] == [Operation.NEW, Operation.JOIN]
    assert build(apart).iou(build(p)) == pytest.approx(1)


def test_like_cuts_become_one():
    cuts = [prism(disc(2, x), op=Operation.CUT) for x in (-20, 0, 20)]
    p = joined(Program((prism(rect(100, 60)), *cuts, prism(disc(2, 21), op=Operation.CUT, depth=5.0))))
    assert [len(e.sketch.profiles) for e in p.extrudes] == [1, 3, 1]


def test_on_grid_keeps_faces_together():
    # A square bar of side 20/3 and a hole cut from its top face: rounding the width would part the two.
    third = 10 / 3
    cut = prism(disc(1), op=Operation.CUT, depth=0.0, backward=2 * third, plane=Plane((0, 0, third)))
    bar = prism(rect(100, 2 * third), depth=third, backward=third)
    p = on_grid(Program((bar, cut)), 0.01)
    assert p.extrudes[0].forward == p.extrudes[1].sketch.plane.origin[2] == pytest.approx(3.33)
    assert build(p).genus == 1


def test_snapped_real_part_agrees_with_its_script():
    unit = 0.0254 / 100
    loops = rect(100 * unit, 60 * unit), tuple(disc(5 * unit, x * unit, 0) for x in (-30, 30))
    p = Program((prism(Profile(*loops), depth=10.2 * unit),))
    program, solid, code = snapped(p, build(p))
    assert parse(code) == program and solid.extents.max() == pytest.approx(100, abs=1e-4)
    assert "10.2" in code and "rect(100, 60)" in code


# ---- statistics -----------------------------------------------------------------------------------------------------


def test_measure_counts_what_is_there():
    plate = Program((prism(Profile(rect(100, 50), (disc(5, 20), disc(5, -20)))),))
    boss = Program(
        (
            prism(rect(100, 50)),
            prism(disc(10), op=Operation.JOIN, depth=20, plane=Plane((0, 0, 10))),
            prism(disc(4), op=Operation.CUT, depth=0, backward=30, plane=Plane((0, 0, 30))),
        )
    )
    bow_tie = Program((prism(polygon((0, 0), (4, 4), (4, 0), (0, 3))),))
    s = statistics.measure([plate, boss, bow_tie])
    assert (s.parts, s.failed) == (2, 1)
    assert s.counts["extrudes"] == {"1": 1, "3": 1}
    assert s.counts["operation 2"] == {"join": 1} and s.counts["operation 3"] == {"cut": 1}
    assert s.counts["equal holes: layout"] == {"pair": 1}
    assert s.counts["later plane"] == {"parallel, on the far face": 2}
    assert s.counts["cut goes through"] == {"through": 1}
    assert s.counts["later sketch centred on the first"] == {"both ways": 2}
    assert s.counts["hole loop centred in its profile"] == {"one way": 2}
    assert s.counts["through holes (genus)"] == {"1": 1, "2": 1}
    assert s.quantile("box: middle / longest", 0.5) == pytest.approx(0.5)
    text = statistics.table(s, s, ("one", "two"))
    assert "one" in text and "two" in text and "operation 3" in text


def test_differences_finds_what_differs():
    def bars(long, n):
        made = [Program((prism(rect(100, 10 + k / n), depth=long + k),)) for k in range(n)]
        return statistics.measure(made)

    found = {name: (d, p) for name, d, p in statistics.differences(bars(5, 12), bars(60, 12))}
    assert found["depth, first"][0] == 1 and found["depth, first"][1] < 1e-4
    same = statistics.differences(bars(5, 12), bars(5, 12))
    assert max(d for _, d, _ in same) == 0
    assert "largest differences" in statistics.table(bars(5, 6), bars(60, 6))
    rows = [line.strip("| ").split(" | ") for line in statistics.tests(bars(5, 12), bars(60, 12)).splitlines()[2:]]
    assert len(rows) == len(found)
    assert all(float(row[5]) <= float(row[6]) <= 1 for row in rows)  # corrected p is never smaller
    assert next(row for row in rows if row[0] == "depth, first")[1:5] == ["12", "12", "Kolmogorov-Smirnov", "1.000"]


def test_sets_that_do_not_exist_are_one_clear_line(tmp_path, capsys):
    for spec in ("nothing", "deepcad:", f"deepcad:{tmp_path}", "synthetic:many"):
        with pytest.raises(ConfigError):
            list(statistics.programs_of(spec))
    assert statistics.main(["--a", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("error: a set is")
    assert statistics.main(["--a", "synthetic:2", "--tests"]) == 2
    assert capsys.readouterr().err.startswith("error: --tests")


def test_an_outline_with_a_side_of_no_length_has_a_name():
    outline = "moveTo(-10, -12).vLineTo(4).lineTo(-5, 12).hLineTo(10).hLineTo(-6).lineTo(-10, 4).close()"
    program = parse(f'result = cq.Workplane("XZ").{outline}.extrude(100)')
    assert caption(program, (100.0, 20.0, 8.0), 1).endswith("100 x 20 x 8")
