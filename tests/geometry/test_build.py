from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from geometry_parts import bracket, disc, one, polygon, random_program, rect

from cadcoder.errors import InputError
from cadcoder.geometry.build import Beginnings, build
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse
from cadcoder.program.types import Arc, Extrude, Line, Loop, Operation, Plane, Profile, Program, Sketch

TILTED = Plane((1, 2, 3), (3, 0, -1), (1, 2, 3))


def occ_solid(program: Program, dialect: str) -> object:
    """Run the program's own script in OpenCascade (it is ours, so no sandbox is needed) and return the shape."""
    import cadquery as cq

    space: dict[str, object] = {}
    exec(emit(program, dialect), space)
    found = space.get("solid", space.get("result"))
    return cq.Compound.makeCompound(found.vals()).wrapped  # type: ignore[attr-defined]


@pytest.mark.parametrize("dialect", ["gencad", "plain"])
@pytest.mark.parametrize("seed", range(6))
def test_it_builds_what_opencascade_builds(seed: int, dialect: str) -> None:
    from cadcoder.geometry import occ

    program = parse(emit(random_program(seed), dialect))
    ours = build(program, math.pi / 180)
    shape = occ_solid(program, dialect)
    assert ours.volume == pytest.approx(occ.volume(shape), rel=1e-3)
    assert ours.iou(occ.mesh_shape(shape, angular=0.03, linear=1e-4)) > 0.999


def test_it_builds_the_real_scripts_as_opencascade_does(data: Path) -> None:
    from cadcoder.geometry import occ

    rows = [json.loads(line) for line in (data / "gencad_code_dev" / "samples.jsonl").read_text().splitlines()]
    for row in rows[:12]:
        program = parse(row["code"])
        ours, shape = build(program, math.pi / 180), occ_solid(program, "gencad")
        assert ours.volume == pytest.approx(occ.volume(shape), rel=1e-3), row["id"]
        assert ours.n_bodies == len(occ.solids_of(shape)), row["id"]
        assert ours.is_watertight


def test_extents_are_one_sided_symmetric_and_two_sided() -> None:
    def heights(forward: float, backward: float) -> list[float]:
        e = Extrude(Sketch((Profile(rect(0, 0, 1, 1)),), Plane((0, 0, 10))), forward, backward)
        return [float(z) for z in build(Program((e,))).bounds[:, 2]]

    assert heights(3, 0) == [10, 13]
    assert heights(0, 3) == [7, 10]
    assert heights(2, 2) == [8, 12]
    assert heights(2, 1) == [9, 12]


def test_planes_place_as_the_program_says() -> None:
    for plane in (Plane((1, 2, 3), (0, 1, 0), (1, 0, 0)), Plane((0, 0, 0), (0, 0, 1), (0, -1, 0)), TILTED):
        s = build(one(Profile(rect(0, 0, 2, 1)), 3, plane))
        corners = [plane.to_world((x, y), z) for x in (0.0, 2.0) for y in (0.0, 1.0) for z in (0.0, 3.0)]
        distance = np.linalg.norm(s.vertices[:, None] - np.array(corners)[None], axis=2).min(axis=0)
        assert distance.max() < 1e-6
        assert s.volume == pytest.approx(6)


def test_a_cut_level_with_a_face_leaves_no_skin() -> None:
    for plane in (Plane(), Plane((0.1, 0.2, 0.3), (0, 1, 0), (1, 0, 0)), TILTED):
        plate = Extrude(Sketch((Profile(rect(0, 0, 10, 10)),), plane), 0.7)
        hole = Extrude(Sketch((Profile(disc(5, 5, 2)),), plane), 0.7, operation=Operation.CUT)
        s = build(Program((plate, hole)))
        assert (s.genus, s.n_bodies) == (1, 1)


def test_a_cut_level_with_a_tilted_face_among_upright_ones_leaves_no_skin() -> None:
    # The tilted plate comes second, so no frame makes both planes upright.
    base = Extrude(Sketch((Profile(rect(-30, -30, -20, -20)),)), 1)
    plate = Extrude(Sketch((Profile(rect(0, 0, 10, 10)),), TILTED), 0.7)
    hole = Extrude(Sketch((Profile(disc(5, 5, 2)),), TILTED), 0.7, operation=Operation.CUT)
    s = build(Program((base, plate, hole)))
    assert (s.n_bodies, s.genus) == (2, 1)


def test_stacked_parts_are_one_body() -> None:
    third = 1 / 3
    lower = Extrude(Sketch((Profile(rect(0, 0, 1, 1)),)), third)
    upper = Extrude(Sketch((Profile(disc(0.5, 0.5, 0.2)),), Plane((0, 0, 1 - 2 * third))), 1, operation=Operation.JOIN)
    s = build(Program((lower, upper)))
    assert (s.n_bodies, s.genus) == (1, 0)


def test_neighbouring_profiles_of_a_sketch_are_one_body() -> None:
    sketch = Sketch((Profile(rect(0, 0, 1, 1)), Profile(rect(1, 0, 3, 2)), Profile(rect(8, 0, 9, 1))))
    s = build(Program((Extrude(sketch, 1),)))
    assert (s.n_bodies, s.volume) == (2, pytest.approx(6))
    filled = Sketch((Profile(rect(0, 0, 4, 4), (disc(2, 2, 1),)), Profile(disc(2, 2, 1))))
    s = build(Program((Extrude(filled, 1),)))
    assert (s.n_bodies, s.genus, s.volume) == (1, 0, pytest.approx(16))


def test_overlapping_profiles_count_once() -> None:
    sketch = Sketch((Profile(rect(0, 0, 2, 2)), Profile(rect(1, 1, 3, 3))))
    assert build(Program((Extrude(sketch, 1),))).volume == pytest.approx(7)


def test_direction_of_loops_does_not_matter() -> None:
    back = polygon((0, 4), (4, 4), (4, 0), (0, 0))
    hole = polygon((1, 1), (2, 1), (2, 2), (1, 2))
    for outer in (back, rect(0, 0, 4, 4)):
        for inner in (hole, polygon((1, 2), (2, 2), (2, 1), (1, 1))):
            assert build(one(Profile(outer, (inner,)), 1)).volume == pytest.approx(15)


def test_arcs_close_to_a_slot() -> None:
    slot = Loop(
        (Line((0, -1), (4, -1)), Arc((4, -1), (5, 0), (4, 1)), Line((4, 1), (0, 1)), Arc((0, 1), (-1, 0), (0, -1)))
    )
    s = build(one(Profile(slot), 2), math.pi / 180)
    assert s.volume == pytest.approx(2 * (8 + math.pi), rel=1e-4)


def test_size_does_not_matter() -> None:
    from cadcoder.program.canonical import scaled

    reference = build(bracket())
    for factor in (1e-4, 1e-2, 1e4):
        s = build(scaled(bracket(), factor))
        assert s.volume == pytest.approx(reference.volume * factor**3, rel=1e-6)
        assert (s.n_bodies, s.genus) == (reference.n_bodies, reference.genus)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (one(Profile(polygon((0, 0), (1, 1), (1, 0), (0, 1.5))), 1), "crosses itself"),
        (one(Profile(polygon((0, 0), (1, 0), (2, 0))), 1), "no area"),
        (one(Profile(rect(0, 0, 1, 1), (rect(-1, -1, 2, 2),)), 1), "no area"),
        (
            Program(
                (
                    Extrude(Sketch((Profile(rect(0, 0, 1, 1)),)), 1),
                    Extrude(Sketch((Profile(rect(-1, -1, 2, 2)),)), 1, operation=Operation.CUT),
                )
            ),
            "extrude 2 .cut. leaves nothing",
        ),
        (
            Program(
                (
                    Extrude(Sketch((Profile(rect(0, 0, 1, 1)),)), 1),
                    Extrude(Sketch((Profile(rect(5, 5, 6, 6)),)), 1, operation=Operation.INTERSECT),
                    Extrude(Sketch((Profile(rect(5, 5, 6, 6)),)), 1, operation=Operation.CUT),
                )
            ),
            "extrude 2 .intersect. leaves nothing",
        ),
    ],
)
def test_what_cannot_be_built_says_why(program: Program, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        build(program)


def test_it_is_fast() -> None:
    program = one(Profile(rect(0, 0, 10, 10), (disc(5, 5, 2),)), 3)
    build(program)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        build(program)
        times.append(time.perf_counter() - start)
    assert min(times) < 2e-3


@pytest.mark.parametrize("seed", range(4))
def test_what_was_built_before_makes_no_difference(seed: int) -> None:
    known = Beginnings(most=16)  # so few that it forgets on the way
    program = random_program(seed)
    again = Program((*program.extrudes, random_program(seed + 40).extrudes[0]))
    for other in (program, again, program, *(Program(again.extrudes[:n]) for n in (1, 2))):
        ours, anew = build(other, math.pi / 24, known), build(other, math.pi / 24)
        # Not the triangles: a run of like operations is done at once, and of two coincident faces either may stay.
        assert ours.volume == pytest.approx(anew.volume, rel=1e-9) and ours.iou(anew) > 1 - 1e-9
        assert np.array_equal(ours.bounds, anew.bounds)


def test_a_beginning_that_cannot_be_built_says_which_extrude_also_the_second_time() -> None:
    known = Beginnings()
    whole = Extrude(Sketch((Profile(rect(0, 0, 4, 4)),), Plane()), 1)
    gone = Program((whole, Extrude(Sketch((Profile(rect(-1, -1, 9, 9)),), Plane()), 2, 1, Operation.CUT)))
    build(Program((whole,)), known=known)
    for _ in range(2):
        with pytest.raises(InputError, match=r"extrude 2 \(cut\) leaves nothing"):
            build(gone, known=known)
