"""Self-made parts to draw."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cadcoder.geometry.build import build
from cadcoder.program.types import Arc, Circle, Extrude, Line, Loop, Operation, Plane, Profile, Program, Sketch


def polygon(points):
    return Loop(tuple(Line(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)))


def rect(w, h, x=0.0, y=0.0):
    return polygon([(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)])


def circle(r, x=0.0, y=0.0):
    return Loop((Circle((x, y), r),))


def slot(length, width):
    a, r = length / 2, width / 2
    return Loop(
        (
            Line((-a, -r), (a, -r)),
            Arc((a, -r), (a + r, 0.0), (a, r)),
            Line((a, r), (-a, r)),
            Arc((-a, r), (-a - r, 0.0), (-a, -r)),
        )
    )


def extrude(outer, height, *, holes=(), plane=None, operation=Operation.NEW):
    return Extrude(Sketch((Profile(outer, tuple(holes)),), plane or Plane()), height, 0.0, operation)


def at(z):
    return Plane(origin=(0.0, 0.0, z))


FRONT = Plane(origin=(0.0, 0.0, 0.0), x_dir=(1.0, 0.0, 0.0), normal=(0.0, -1.0, 0.0))


def make_program(kind: int, p: np.ndarray) -> Program:
    """One of five families of parts, from six proportions in about [0.5, 1.5]."""
    w, d, h = 60 * p[0], 40 * p[1], 20 * p[2]
    r = 5 * p[3]
    join, cut = Operation.JOIN, Operation.CUT
    if kind == 0:  # plate with holes
        holes = [circle(r, x * 0.3 * w, y * 0.25 * d) for x in (-1, 1) for y in (-1, 1)]
        return Program((extrude(rect(w, d), 0.4 * h, holes=holes),))
    if kind == 1:  # disc with a boss and a bore
        bottom = extrude(circle(0.5 * w), 0.5 * h)
        boss = extrude(circle(0.25 * w * p[4]), h, plane=at(0.5 * h), operation=join)
        return Program((bottom, boss, extrude(circle(r), 4 * h, plane=at(-h), operation=cut)))
    if kind == 2:  # angle bracket
        outline = polygon([(0, 0), (w, 0), (w, 2 * r), (2 * r, 2 * r), (2 * r, d), (0, d)])
        return Program((extrude(outline, h * p[4], plane=FRONT),))
    if kind == 3:  # slotted bar with a pocket
        bar = extrude(slot(w, 0.6 * d), h, holes=[circle(0.9 * r, 0.4 * w, 0.0)])
        pocket = extrude(rect(0.3 * w, 0.3 * d), h, plane=at(0.5 * h * p[4]), operation=cut)
        return Program((bar, pocket))
    n = 6
    hexagon = polygon(
        [(0.4 * w * math.cos(2 * math.pi * i / n), 0.4 * w * math.sin(2 * math.pi * i / n)) for i in range(n)]
    )
    block = extrude(rect(0.3 * w, 0.3 * d, -0.15 * w), 0.5 * h * p[4], plane=at(h), operation=join)
    return Program((extrude(hexagon, h, holes=[circle(r, 0.15 * w)]), block))


#: Which proportions enter each family.
ENTER = ((0, 1, 2, 3), (0, 2, 3, 4), (0, 1, 2, 3), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4))


@pytest.fixture(scope="session")
def programs():
    """20 pairs of (kind, proportions)."""
    rng = np.random.default_rng(7)
    return [(i % 5, rng.uniform(0.6, 1.4, 6)) for i in range(20)]


@pytest.fixture(scope="session")
def parts(programs):
    """The solids of ``programs``."""
    return [build(make_program(kind, p)) for kind, p in programs]


@pytest.fixture(scope="session")
def box():
    return build(Program((extrude(rect(60.0, 40.0), 20.0),)))


@pytest.fixture(scope="session")
def ring():
    return build(Program((extrude(circle(30.0), 20.0, holes=[circle(16.0)]),)))


@pytest.fixture(scope="session")
def bracket():
    return build(make_program(2, np.ones(6)))


@pytest.fixture(scope="session")
def plate():
    return build(make_program(0, np.ones(6)))


@pytest.fixture(scope="session")
def real_pictures():
    """The folder of the GenCAD-Code development pairs, where there is one."""
    import os

    base = os.environ.get("CADCODER_DATA") or Path(__file__).parents[3] / "shared" / "data"
    folder = Path(base) / "gencad_code_dev"
    if not folder.is_dir():
        pytest.skip("no real data here")
    return folder
