"""Parts that the tests of this room share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Circle, Extrude, Line, Loop, Operation, Plane, Point, Profile, Program, Sketch


def polygon(*points: Point) -> Loop:
    return Loop(tuple(Line(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)))


def rect(x0: float, y0: float, x1: float, y1: float) -> Loop:
    return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def disc(x: float, y: float, r: float) -> Loop:
    return Loop((Circle((x, y), r),))


def one(profile: Profile, height: float, plane: Plane | None = None) -> Program:
    return Program((Extrude(Sketch((profile,), plane or Plane()), height),))


def bracket() -> Program:
    """An L of two plates with a hole in each: no symmetry at all, and chiral."""
    return Program(
        (
            Extrude(Sketch((Profile(rect(0, 0, 60, 40), (disc(45, 12, 6),)),)), 8),
            Extrude(Sketch((Profile(rect(0, 0, 8, 40)),), Plane((0, 0, 8))), 30, operation=Operation.JOIN),
            Extrude(
                Sketch((Profile(disc(30, 25, 5)),), Plane((-1, 0, 0), (0, 1, 0), (1, 0, 0))),
                20,
                operation=Operation.CUT,
            ),
        )
    )


def random_program(seed: int) -> Program:
    """A plate of random proportions with a few random bosses and cuts on it."""
    rng = np.random.default_rng(seed)
    w, d, h = rng.uniform(0.1, 1.0, 3) * 100
    extrudes = [Extrude(Sketch((Profile(rect(0, 0, w, d)),)), h)]
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0.2, 0.8, 2) * (w, d)
        r = rng.uniform(0.05, 0.15) * min(w, d)
        loop = disc(x, y, r) if rng.random() < 0.5 else rect(x - r, y - 1.5 * r, x + r, y + r)
        if rng.random() < 0.5:
            plane, way = Plane((0, 0, h)), Operation.JOIN
        else:
            plane, way = Plane((0, 0, h * 0.4)), Operation.CUT
        extrudes.append(Extrude(Sketch((Profile(loop),), plane), h * rng.uniform(0.3, 0.9), operation=way))
    return Program(tuple(extrudes))


def similarity(seed: int, mirror: bool = False) -> NDArray[np.float64]:
    """A random rotation, translation and scale as (4, 4)."""
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    if (np.linalg.det(q) < 0) != mirror:
        q[:, 0] = -q[:, 0]
    m = np.eye(4)
    m[:3, :3] = q * rng.uniform(0.05, 20.0)
    m[:3, 3] = rng.normal(size=3) * 50
    return m


@pytest.fixture(scope="session")
def parts() -> dict[str, Solid]:
    """Parts of every degree of symmetry."""
    angles = np.arange(6) * np.pi / 3
    holes = tuple(disc(30 * np.cos(a), 30 * np.sin(a), 4) for a in angles)
    marked = (*holes, disc(30 * np.cos(0.4), 30 * np.sin(0.4), 2))
    programs = {
        "cube": one(Profile(rect(0, 0, 10, 10)), 10),
        "bar": one(Profile(rect(0, 0, 10, 10)), 70),
        "sheet": one(Profile(rect(0, 0, 100, 60)), 0.5),
        "cylinder": one(Profile(disc(0, 0, 10)), 35),
        "washer": one(Profile(disc(0, 0, 40), (disc(0, 0, 20),)), 5),
        "flange": one(Profile(disc(0, 0, 40), holes), 8),
        "marked flange": one(Profile(disc(0, 0, 40), marked), 8),
        "prism": one(Profile(polygon(*((30 * np.cos(a), 30 * np.sin(a)) for a in angles))), 12),
        "dotted cube": Program(
            (
                Extrude(Sketch((Profile(rect(0, 0, 10, 10)),)), 10),
                Extrude(Sketch((Profile(disc(7, 6, 1)),)), 4, operation=Operation.CUT),
            )
        ),
        "bracket": bracket(),
    }
    return {name: build(program) for name, program in programs.items()}


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real samples; tests that need it are skipped without it."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("CADCODER_DATA", root.parent / "shared" / "data"))
    if not (folder / "gencad_code_dev" / "samples.jsonl").is_file():
        pytest.skip("the real samples are not here")
    return folder
