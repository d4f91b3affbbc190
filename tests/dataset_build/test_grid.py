"""Grids of real parts: what the numbers say of two programs is what their solids say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import (
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
    canonical,
    centered,
    emit,
    parse,
    scaled,
)
from cadcoder.program.compact import merged
from cadcoder.program.shapes import Shape
from cadcoder.program.snap import snap
from dataset_build.grid import HOPELESS, SLACK, STEPS, snapped
from dataset_build.nearness import Original, same_numbers
from dataset_build.regions import joined, on_grid, united
from dataset_build.synth import sample
from dataset_build.verify import FAITHFUL


def rectangle(w: float, h: float, at=(0.0, 0.0)) -> Loop:
    return Shape("rect", (w, h), at).loop()


def disc(x: float, y: float, r: float) -> Loop:
    return Loop((Circle((x, y), r),))


def prism(*loops: Loop, depth: float = 10.0, plane: Plane | None = None, operation=Operation.NEW) -> Extrude:
    return Extrude(Sketch((Profile(loops[0], loops[1:]),), plane or Plane()), depth, 0.0, operation)


def lens(w: float, h: float) -> Loop:
    a, b = (-w, 0.0), (w, 0.0)
    return Loop((Arc(a, (0.0, -h), b), Line(b, a)))


def lost(a: Program, b: Program) -> float:
    """What two programs differ in, as a share of the first, by boolean."""
    first, second = build(a), build(b)
    shared = (first.manifold ^ second.manifold).volume()
    return (first.volume + second.volume - 2 * shared) / first.volume


def odd(seed: int) -> Program:
    """A synthetic part whose numbers are on no grid."""
    return centered(scaled(sample(seed), 0.9173))


@pytest.mark.parametrize("grid", [snap, on_grid])
def test_what_is_lost_is_estimated_and_bounded(grid):
    compared = 0
    for seed in range(12):
        program = odd(seed)
        solid = build(program)
        original = Original(program, solid.volume, solid)
        for step in (0.5, 0.1, 0.05):
            try:
                rounded = grid(program, step, step, 0.0)
                true = lost(program, rounded)
            except InputError:
                continue
            assert true <= original.most_lost(rounded) + SLACK
            if len(program.extrudes) == 1:
                assert true == pytest.approx(original.most_lost(rounded), abs=SLACK)
            if true < 0.01:
                assert original.least_lost(step) <= 1.2 * true + 1e-5
                assert original.lost(rounded) <= HOPELESS / (1 - FAITHFUL) * true + 1e-5
                compared += 1
    assert compared > 15


def test_a_prism_needs_no_solid_for_its_estimate():
    program = canonical(Program((prism(rectangle(61.3, 20.7), disc(-20.0, 0.0, 4.03), lens(8.2, 5.1), depth=7.7),)))
    solid = build(program)
    alone, built = Original(program, solid.volume), Original(program, solid.volume, solid)
    rounded = on_grid(program, 0.5)
    assert alone.swept == pytest.approx(solid.volume, rel=1e-7)
    assert alone.lost(rounded) == pytest.approx(built.lost(rounded), rel=1e-6)
    assert alone.least_lost(0.5) == pytest.approx(built.least_lost(0.5), rel=1e-6)


def test_nothing_is_said_of_other_structures():
    a = Program((prism(rectangle(50.0, 20.0)), prism(disc(0.0, 0.0, 5.0), operation=Operation.CUT)))
    solid = build(a)
    original = Original(a, solid.volume, solid)
    other = Program((a.extrudes[0], replace(a.extrudes[1], operation=Operation.JOIN)))
    turned = Program((prism(rectangle(50.0, 20.0), plane=Plane(normal=(0.0, 1.0, 0.0))), a.extrudes[1]))
    for b in (other, turned, Program(a.extrudes[:1])):
        assert math.isinf(original.most_lost(b))
    assert original.lost(turned) == original.lost(Program(a.extrudes[:1])) == 0.0


def test_moved_planes_are_told_from_moved_sketches():
    there = Program((prism(rectangle(50.0, 20.0, (3.0, 1.0)), plane=Plane((0.0, 0.0, 2.0))),))
    here = Program((prism(rectangle(50.0, 20.0), plane=Plane((3.0, 1.0, 2.0))),))
    original = Original(here, build(here).volume)
    assert original.most_lost(there) == pytest.approx(0.0, abs=1e-9)
    assert original.lost(there) == pytest.approx(0.0, abs=1e-9)
    up = Program((prism(rectangle(50.0, 20.0, (3.0, 1.0)), plane=Plane((0.0, 0.0, 3.0))),))
    assert original.most_lost(up) == pytest.approx(lost(here, up), rel=1e-6) == pytest.approx(0.2, rel=1e-6)


def test_same_numbers_see_every_number():
    a = canonical(Program((prism(lens(30.0, 20.0), disc(0.0, -5.0, 3.0)), prism(rectangle(9.0, 9.0)))))
    assert same_numbers(a, parse(emit(a)), 1e-9)
    for b in (
        Program((replace(a.extrudes[0], forward=10.001), a.extrudes[1])),
        Program((a.extrudes[0], replace(a.extrudes[1], operation=Operation.JOIN))),
        canonical(Program((prism(lens(30.0, 20.001), disc(0.0, -5.0, 3.0)), prism(rectangle(9.0, 9.0))))),
        canonical(Program((prism(lens(30.0, 20.0), disc(0.0, -5.0, 3.001)), prism(rectangle(9.0, 9.0))))),
        canonical(Program((prism(lens(30.0, 20.0)), prism(rectangle(9.0, 9.0))))),
        Program(a.extrudes[:1]),
    ):
        assert not same_numbers(a, b, 1e-9)


def reference(program: Program) -> str:
    """The script on the coarsest grid, every rounding built and compared by boolean."""
    solid = build(program)
    truth = scaled(program, 100.0 / float(solid.extents.max()))
    moved = merged(centered(joined(united(truth))))
    whole = build(moved)
    for step in STEPS:
        for grid in (snap, on_grid):
            try:
                code = emit(grid(moved, step, step, 0.0), "plain", step / 2)
                built = build(parse(code))
            except InputError:
                continue
            if (built.n_bodies, built.genus) == (whole.n_bodies, whole.genus) and whole.iou(built) >= FAITHFUL:
                return code
    raise AssertionError("no grid")


@pytest.mark.parametrize("seed", range(100, 112))
def test_the_coarsest_grid_is_found_without_building_all(seed):
    program = scaled(sample(seed), 0.00731)
    solid = build(program)
    again, built, code = snapped(program, solid)
    assert code == reference(program)
    assert again == parse(code)
    assert build(again).iou(built) > 1 - 1e-9


def test_thin_walls_get_the_fine_grid_and_thick_ones_the_coarse():
    thin = Program((prism(rectangle(100.0, 60.0), depth=0.837),))
    thick = Program((prism(rectangle(100.0, 60.02), depth=29.99),))
    assert ".extrude(0.837)" in snapped(thin, build(thin))[2]
    assert snapped(thick, build(thick))[2].endswith('cq.Workplane("XY").rect(100, 60).extrude(30)\n')
