"""The short dialect says the same as plain in fewer characters, and compact programs build the same solid."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from program_compare import PHASES, difference, exact_volume, mesh, run
from random_programs import programs, rectangle

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import Circle, Extrude, Loop, Operation, Plane, Profile, Program, Sketch, canonical, emit, parse
from cadcoder.program.compact import compact
from cadcoder.program.patterns import find_arc, find_row

many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
XZ = Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))


def disc(x: float, y: float, r: float) -> Loop:
    return Loop((Circle((x, y), r),))


def plate(*holes: Loop, w: float = 100.0, h: float = 60.0, at=(0.0, 0.0)) -> Program:
    return Program((Extrude(Sketch((Profile(rectangle(w, h, at), holes),)), 5.0),))


def body(text: str) -> str:
    """A script's only chain, without its beginning and end."""
    return text.splitlines()[2].removeprefix("r = cq.Workplane()").removesuffix(".extrude(5)")


@many
@given(programs())
def test_short_text_and_back_is_the_identity(program):
    c = compact(program)
    assert difference(canonical(parse(emit(c, "short"))), canonical(c)) < 1e-9


@many
@given(programs())
def test_compact_is_idempotent_and_builds_the_same_solid(program):
    c = compact(program)
    assert difference(compact(c), c) < 1e-9
    try:
        solid = build(program)
    except InputError:
        return  # nothing is left of the part
    made = build(c)
    assert made.volume == pytest.approx(solid.volume, rel=2e-3)
    assert made.iou(solid) > 0.998  # circles are drawn from another angle on another plane


@many
@given(programs())
def test_short_is_not_longer_than_plain(program):
    c = canonical(program)
    assert len(emit(c, "short", 0.01)) <= len(emit(c, "plain", 0.01))


HOLES = {
    "a row of two": ([(-20, 0), (20, 0)], ".rarray(40, 1, 2, 1).circle(3)"),
    "a row of three upright": ([(0, -20), (0, 0), (0, 20)], ".rarray(1, 20, 1, 3).circle(3)"),
    "a row off the middle": ([(x, 10) for x in (0, 12, 24, 36)], ".center(18, 10).rarray(12, 1, 4, 1).circle(3)"),
    "a grid off the middle": (
        [(x, y) for x in (10, 25, 40) for y in (-20, -5, 10)],
        ".center(25, -5).rarray(15, 15, 3, 3).circle(3)",
    ),
    "a ring off the middle": (
        [(30.0, 0.0), (20.0, 10.0), (10.0, 0.0), (20.0, -10.0)],
        ".center(20, 0).polarArray(10, 0, 360, 4).circle(3)",
    ),
    "half a ring": (
        [(20.0, 0.0), (14.142135623730951, 14.142135623730951), (0.0, 20.0), (-14.142135623730951, 14.142135623730951)],
        ".polarArray(20, 0, 135, 4).circle(3)",
    ),
}


@pytest.mark.parametrize("kind", HOLES)
def test_patterns_of_holes_are_named(kind):
    centers, expected = HOLES[kind]
    program = plate(*(disc(x, y, 3.0) for x, y in centers))
    text = emit(canonical(program), "short")
    assert body(text) == ".rect(100, 60)" + expected
    assert difference(canonical(parse(text)), canonical(program)) < 1e-12
    made = run(text.replace("\nr = ", "\nresult = "))
    assert exact_volume(made) == pytest.approx(5 * (6000 - len(centers) * 9 * 3.141592653589793), rel=1e-9)
    assert mesh(made).iou(build(program)) > 0.999


def test_what_follows_a_moved_origin_is_written_from_there():
    holes = [disc(x, 10.0, 3.0) for x in (0.0, 12.0, 24.0, 36.0)]
    program = plate(*holes, rectangle(4.0, 6.0, (-30.0, -10.0)), disc(-30.0, 15.0, 2.0))
    text = emit(canonical(program), "short")
    assert ".center(18, 10)" in text and ".moveTo(-48, -20).rect(4, 6)" in text and ".moveTo(-48, 5).circle(2)" in text
    assert difference(canonical(parse(text)), canonical(program)) < 1e-12
    assert mesh(run(text.replace("\nr = ", "\nresult = "))).iou(build(program)) > 0.999


def test_a_polygon_is_written_by_its_corners_where_that_is_shorter():
    from random_programs import polygon

    kite = Program((Extrude(Sketch((Profile(polygon((-30, 0), (0, -11), (50, 2), (3, 40))),)), 5.0),))
    text = emit(canonical(kite), "short")
    assert body(text) == ".polyline([(-30, 0), (0, -11), (50, 2), (3, 40)]).close()"
    assert parse(text) == canonical(kite)
    assert exact_volume(run(text.replace("\nr = ", "\nresult = "))) == pytest.approx(build(kite).volume, rel=1e-9)


def on(plane: Plane, height: float, forward: float, backward: float, operation=Operation.NEW) -> Extrude:
    origin = tuple(height * n for n in plane.normal)
    sketch = Sketch((Profile(rectangle(20.0, 30.0)),), replace(plane, origin=origin))
    return Extrude(sketch, forward, backward, operation)


@pytest.mark.parametrize("plane", [Plane(), XZ])
@pytest.mark.parametrize(
    ("height", "forward", "backward", "expected"),
    [
        (-5.0, 10.0, 0.0, (0.0, 5.0, 5.0)),
        (3.0, 2.0, 8.0, (0.0, 5.0, 5.0)),
        (3.0, 4.0, 3.0, (0.0, 7.0, 0.0)),
        (-3.0, 3.0, 4.0, (0.0, 0.0, 7.0)),
        (10.0, 2.0, 2.0, (8.0, 4.0, 0.0)),
        (10.0, 2.0, 0.0, (10.0, 2.0, 0.0)),
        (0.1, 0.2, 0.1, (0.0, 0.3, 0.0)),
    ],
)
def test_extents_are_said_from_where_they_are_shortest(plane, height, forward, backward, expected):
    (e,) = compact(Program((on(plane, height, forward, backward),))).extrudes
    at = sum(o * n for o, n in zip(e.sketch.plane.origin, plane.normal, strict=True))
    assert (at, e.forward, e.backward) == expected


def test_extrudes_of_one_sketch_that_meet_become_one():
    new, join, cut = Operation.NEW, Operation.JOIN, Operation.CUT
    assert len(compact(Program((on(Plane(), 0.0, 5.0, 0.0), on(Plane(), 5.0, 7.0, 0.0, join)))).extrudes) == 1
    assert len(compact(Program((on(Plane(), 0.0, 5.0, 0.0), on(Plane(), 6.0, 7.0, 0.0, join)))).extrudes) == 2
    assert len(compact(Program((on(Plane(), 0.0, 9.0, 0.0), on(Plane(), 5.0, 7.0, 0.0, cut)))).extrudes) == 2
    both = compact(Program((on(XZ, 0.0, 5.0, 0.0), on(XZ, 0.0, 0.0, 5.0, new), on(XZ, 4.0, 7.0, 0.0, join)))).extrudes
    assert [(e.forward, e.backward) for e in both] == [(16.0, 0.0)]
    assert build(Program(both)).volume == pytest.approx(20 * 30 * 16)


def test_rows_and_arcs_are_not_seen_where_there_are_none():
    assert find_row([(0.0, 0.0)]) is None
    assert find_row([(-1.0, 0.0), (0.2, 0.0), (1.0, 0.0)]) is None
    assert find_row([(-1.0, 1.0), (1.0, -1.0)]) is None
    assert find_arc([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)]) is None  # a full ring
    assert find_arc([(1.0, 0.0), (0.0, 1.0), (-2.0, 0.0)]) is None
    assert find_arc([(1.0, 0.0), (0.0, 1.0)]) is None
