"""Programs as JSON: compact, without loss, versioned.

``{"v": 1, "extrudes": [{"op": "new", "to": 10, "from": 0, "plane": [[origin], [x], [normal]], "profiles":
[[outer, hole, ...], ...]}]}``; ``from`` and ``plane`` are left out where they are 0 and the XY plane through the
origin. A loop is a list of curves, each starting where the one before ends (the first where the last ends):
``["L", x, y]`` a line to x, y; ``["A", mx, my, x, y]`` an arc through mx, my; ``["C", x, y, r]`` a circle. A curve
that starts elsewhere by a rounding error names its start first: ``["L", x0, y0, x, y]``, ``["A", x0, y0, mx, ...]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.types import (
    Arc,
    Circle,
    Curve,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Profile,
    Program,
    Sketch,
    Vector,
)

VERSION = 1


def to_json(program: Program) -> dict[str, Any]:
    """Return the program as plain lists, numbers and strings; :func:`from_json` gives it back exactly."""
    return {"v": VERSION, "extrudes": [_extrude(e) for e in program.extrudes]}


def from_json(data: Mapping[str, Any]) -> Program:
    """Return the program that :func:`to_json` wrote.

    Raises:
        InputError: if it is of another version, or not such a program.
    """
    if not isinstance(data, Mapping) or "v" not in data:
        raise InputError('this is not a program in JSON: it has no version "v"')
    if data["v"] != VERSION:
        raise InputError(f"the program is of version {data['v']!r:.40}; this release reads version {VERSION}")
    try:
        return Program(tuple(_read_extrude(e) for e in data["extrudes"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as e:
        raise InputError(f"this is not a program in JSON: {type(e).__name__} {e}") from e


def _number(value: float) -> float | int:
    """Return whole numbers as int, which JSON writes shorter; a negative zero stays what it is."""
    if value == 0:
        return value if math.copysign(1.0, value) < 0 else 0
    return int(value) if abs(value) < 1e15 and value == int(value) else float(value)


def _numbers(*values: float) -> list[float | int]:
    return [_number(v) for v in values]


def _extrude(e: Extrude) -> dict[str, Any]:
    out: dict[str, Any] = {"op": e.operation.value, "to": _number(e.forward)}
    if e.backward != 0:
        out["from"] = _number(e.backward)
    plane = e.sketch.plane
    if plane != Plane():
        out["plane"] = [_numbers(*plane.origin), _numbers(*plane.x_dir), _numbers(*plane.normal)]
    out["profiles"] = [[_loop(loop) for loop in p.loops()] for p in e.sketch.profiles]
    return out


def _loop(loop: Loop) -> list[list[Any]]:
    out: list[list[Any]] = []
    last = loop.curves[-1]
    at = None if isinstance(last, Circle) else last.end
    for c in loop.curves:
        if isinstance(c, Circle):
            out.append(["C", *_numbers(*c.center, c.radius)])
            continue
        start = () if c.start == at else c.start
        if isinstance(c, Line):
            out.append(["L", *_numbers(*start, *c.end)])
        else:
            out.append(["A", *_numbers(*start, *c.mid, *c.end)])
        at = c.end
    return out


def _read_extrude(e: Mapping[str, Any]) -> Extrude:
    plane = Plane()
    if "plane" in e:
        origin, x_dir, normal = (_vector(v) for v in e["plane"])
        plane = Plane(origin, x_dir, normal)
    profiles = []
    for loops in e["profiles"]:
        outer, *holes = (_read_loop(loop) for loop in loops)
        profiles.append(Profile(outer, tuple(holes)))
    sketch = Sketch(tuple(profiles), plane)
    return Extrude(sketch, float(e["to"]), float(e.get("from", 0.0)), Operation(e["op"]))


def _vector(values: Sequence[float]) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _read_loop(loop: Sequence[Sequence[Any]]) -> Loop:
    rows = [(row[0], [float(v) for v in row[1:]]) for row in loop]
    curves: list[Curve] = []
    at = (rows[-1][1][-2], rows[-1][1][-1]) if rows and rows[-1][0] != "C" else (0.0, 0.0)
    for kind, n in rows:
        if kind == "C" and len(n) == 3:
            curves.append(Circle((n[0], n[1]), n[2]))
            continue
        if kind == "L" and len(n) in (2, 4):
            start = (n[0], n[1]) if len(n) == 4 else at
            curves.append(Line(start, (n[-2], n[-1])))
        elif kind == "A" and len(n) in (4, 6):
            start = (n[0], n[1]) if len(n) == 6 else at
            curves.append(Arc(start, (n[-4], n[-3]), (n[-2], n[-1])))
        else:
            raise ValueError(f"there is no curve {kind!r:.40} of {len(n)} numbers")
        at = (n[-2], n[-1])
    return Loop(tuple(curves))
