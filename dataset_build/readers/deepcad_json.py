"""DeepCAD's ``cad_json`` (Onshape features, exact) as programs.

Format: the JSON that DeepCAD (Wu et al., ICCV 2021) published, itself in the style of the Fusion 360 Gallery
reconstruction data. ``sequence`` lists features in order; ``entities`` holds them: sketches with a
``transform`` (origin and three axes) and named ``profiles`` of ``loops`` of ``profile_curves`` in sketch
coordinates; extrudes that name profiles, an operation and extents. What the published files really do:

* ``is_outer`` is true for every loop, so holes are found by containment;
* a line's or an arc's ends may be given in either order; curves are chained;
* an arc runs from ``start_angle`` to ``end_angle`` counter-clockwise from ``reference_vector`` in the sketch's
  own axes, whatever its ``normal`` says, and its start and end point may be the other way round;
* a one-sided distance may be negative (against the normal); a symmetric one is the length on *each* side;
* an extrude may name no profile: DeepCAD leaves it out, and so does this reader (the box tells whether the
  part is whole without it);
* lengths are metres, kept as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.types import (
    Arc,
    Circle,
    Extrude,
    Line,
    Operation,
    Plane,
    Point,
    Profile,
    Program,
    Sketch,
    Vector,
)
from dataset_build.readers.loops import chain, closed, nest
from dataset_build.readers.rejects import Reason, Refused, Reject, read_bytes

OPERATIONS = {
    "NewBodyFeatureOperation": Operation.NEW,
    "JoinFeatureOperation": Operation.JOIN,
    "CutFeatureOperation": Operation.CUT,
    "IntersectFeatureOperation": Operation.INTERSECT,
}

#: The axis-aligned box (min corner, max corner) that a file states for its part.
Box = tuple[Vector, Vector]


def read(path: Path) -> Program | Reject:
    """Return the program that a JSON file holds, or why there is none."""
    found = read_with_box(path)
    return found if isinstance(found, Reject) else found[0]


def read_with_box(path: Path) -> tuple[Program, Box | None] | Reject:
    """Return the program and the box that the file states for it (None where it states none)."""
    try:
        data = load(path)
        return from_dict(data), stated_box(data)
    except Refused as e:
        return e.at(str(path))


def load(path: Path) -> Mapping[str, Any]:
    """Return the file's JSON object.

    Raises:
        Refused: ``UNREADABLE``, ``TOO_LARGE`` or ``MALFORMED``.
    """
    raw = read_bytes(path)
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as e:
        raise Refused(Reason.MALFORMED, "", f"not JSON: {e}") from e
    if not isinstance(data, dict):
        raise Refused(Reason.MALFORMED, "", "the file is not a JSON object")
    return data


def stated_box(data: Mapping[str, Any]) -> Box | None:
    """Return ``properties.bounding_box`` as (min, max), or None where it is absent or unusable."""
    try:
        box = _get(_get(data, "properties", dict, ""), "bounding_box", dict, "")
        return _vector(box, "min_point", ""), _vector(box, "max_point", "")
    except Refused:
        return None


def from_dict(data: Mapping[str, Any]) -> Program:
    """Return the program of a parsed file.

    Raises:
        Refused: with the path of the fault within the JSON.
    """
    entities = _get(data, "entities", dict, "")
    sequence = _get(data, "sequence", list, "")
    extrudes: list[Extrude] = []
    for i, item in enumerate(sequence):
        if not isinstance(item, dict):
            raise Refused(Reason.MALFORMED, f"sequence/{i}", "not an object")
        kind = item.get("type")
        if kind == "Sketch":
            continue
        if kind != "ExtrudeFeature":
            raise Refused(Reason.UNKNOWN_COMMAND, f"sequence/{i}", f"a feature of type {kind!r:.60}")
        name = _get(item, "entity", str, f"sequence/{i}")
        if not isinstance(entities.get(name), dict):
            raise Refused(Reason.DANGLING_REFERENCE, f"sequence/{i}", f"there is no entity {name:.60}")
        extrudes += _extrudes(entities, entities[name], f"entities/{name}", first=not extrudes)
    if not extrudes:
        raise Refused(Reason.NO_EXTRUDE, "sequence", "no extrude names a profile")
    return Program(tuple(extrudes))


def _extrudes(entities: Mapping[str, Any], e: Mapping[str, Any], place: str, first: bool) -> list[Extrude]:
    """Return one extrude for each sketch that the feature takes profiles from."""
    sketches: dict[str, list[Profile]] = {}
    for i, ref in enumerate(_get(e, "profiles", list, place)):
        if not isinstance(ref, dict):
            raise Refused(Reason.MALFORMED, f"{place}/profiles/{i}", "not an object")
        sketch, profile = (_get(ref, key, str, f"{place}/profiles/{i}") for key in ("sketch", "profile"))
        found = entities.get(sketch)
        held = found.get("profiles") if isinstance(found, dict) else None
        if not isinstance(held, dict) or not isinstance(held.get(profile), dict):
            raise Refused(Reason.DANGLING_REFERENCE, f"{place}/profiles/{i}", f"no profile {sketch:.60}/{profile:.60}")
        where = f"entities/{sketch}/profiles/{profile}"
        sketches.setdefault(sketch, []).extend(_profiles(held[profile], where))
    if not sketches:
        return []
    name = _get(e, "operation", str, place)
    if name not in OPERATIONS:
        raise Refused(Reason.UNKNOWN_OPERATION, place, f"operation {name:.60}")
    operation = OPERATIONS[name]
    if first:
        if operation in (Operation.CUT, Operation.INTERSECT):
            raise Refused(Reason.FIRST_NOT_NEW, place, f"the first extrude is a {operation.value}")
        operation = Operation.NEW
    low, high = _extent(e, place)
    out = []
    for key, profiles in sketches.items():
        plane = _plane(_get(entities[key], "transform", dict, f"entities/{key}"), f"entities/{key}/transform")
        out.append(Extrude(Sketch(tuple(profiles), plane), high, -low if low else 0.0, operation))
        if operation is Operation.NEW:
            operation = Operation.JOIN  # one feature makes one body, also from two sketches
    return out


def _extent(e: Mapping[str, Any], place: str) -> tuple[float, float]:
    """Return (low, high) along the sketch's normal; the interval holds 0."""
    start = _get(e, "start_extent", dict, place).get("type")
    if start != "ProfilePlaneStartDefinition":
        raise Refused(Reason.START_OFFSET, f"{place}/start_extent", f"{start!r:.60}")
    one = _distance(e, "extent_one", place)
    kind = e.get("extent_type")
    if kind == "OneSideFeatureExtentType":
        low, high = min(0.0, one), max(0.0, one)
    elif kind == "SymmetricFeatureExtentType":
        low, high = -abs(one), abs(one)
    elif kind == "TwoSidesFeatureExtentType":
        two = _distance(e, "extent_two", place)
        low, high = min(0.0, one, -two), max(0.0, one, -two)
    else:
        raise Refused(Reason.UNKNOWN_EXTENT, place, f"extent type {kind!r:.60}")
    if not 0 < high - low < math.inf:
        raise Refused(Reason.ZERO_EXTENT, place, "the extrude has length zero")
    return low, high


def _distance(e: Mapping[str, Any], key: str, place: str) -> float:
    extent = _get(e, key, dict, place)
    place = f"{place}/{key}"
    if extent.get("type") != "DistanceExtentDefinition":
        raise Refused(Reason.UNKNOWN_EXTENT, place, f"{extent.get('type')!r:.60}")
    taper = extent.get("taper_angle")
    if isinstance(taper, dict) and abs(_number(taper, "value", f"{place}/taper_angle")) > 1e-9:
        raise Refused(Reason.TAPER, place, f"a taper of {taper['value']}")
    return _number(_get(extent, "distance", dict, place), "value", f"{place}/distance")


def _plane(t: Mapping[str, Any], place: str) -> Plane:
    origin, x, y, z = (_vector(t, key, place) for key in ("origin", "x_axis", "y_axis", "z_axis"))
    try:
        plane = Plane(origin, x, z)
        right = sum(a * b for a, b in zip(plane.axes()[1], y, strict=True))
    except (InputError, OverflowError, ZeroDivisionError) as e:
        raise Refused(Reason.DEGENERATE_PLANE, place, str(e)) from e
    if not right > 0.999:
        raise Refused(Reason.DEGENERATE_PLANE, place, "its axes are not a right-handed orthonormal frame")
    return plane


def _profiles(profile: Mapping[str, Any], place: str) -> list[Profile]:
    loops = []
    for i, raw in enumerate(_get(profile, "loops", list, place)):
        at = f"{place}/loops/{i}"
        if not isinstance(raw, dict):
            raise Refused(Reason.MALFORMED, at, "not an object")
        curves = [_curve(c, f"{at}/{k}") for k, c in enumerate(_get(raw, "profile_curves", list, at))]
        if not curves:
            raise Refused(Reason.DEGENERATE_LOOP, at, "a loop without curves")
        if any(isinstance(c, Circle) for c in curves):
            loops.append(closed(curves, at))
        else:
            loops.append(chain([c for c in curves if not isinstance(c, Circle)], at))
    if not loops:
        raise Refused(Reason.DEGENERATE_LOOP, place, "a profile without loops")
    return nest(loops)


def _curve(c: Any, place: str) -> Line | Arc | Circle:
    if not isinstance(c, dict):
        raise Refused(Reason.MALFORMED, place, "not an object")
    kind = c.get("type")
    if kind == "Line3D":
        return Line(_point(c, "start_point", place), _point(c, "end_point", place))
    if kind not in ("Arc3D", "Circle3D"):
        raise Refused(Reason.UNKNOWN_CURVE, place, f"{kind!r:.60}")
    center, radius = _point(c, "center_point", place), _number(c, "radius", place)
    if radius <= 0:
        raise Refused(Reason.BAD_NUMBER, place, f"a radius of {radius}")
    if kind == "Circle3D":
        return Circle(center, radius)
    start, end, ref = (_point(c, key, place) for key in ("start_point", "end_point", "reference_vector"))
    a0, a1 = _number(c, "start_angle", place), _number(c, "end_angle", place)
    # The angles tell which of the two arcs between the ends is meant; the ends tell where it lies.
    miss = 1e-3 * radius
    for sense in (1.0, -1.0):
        first, middle, last = (_on_circle(center, radius, ref, sense * a) for a in (a0, (a0 + a1) / 2, a1))
        if max(math.dist(first, start), math.dist(last, end)) <= miss:
            return Arc(start, middle, end)
        if max(math.dist(first, end), math.dist(last, start)) <= miss:
            return Arc(start, middle, end)
    raise Refused(Reason.BAD_NUMBER, place, "the arc's angles and its ends disagree")


def _on_circle(center: Point, radius: float, ref: Point, angle: float) -> Point:
    cos, sin = math.cos(angle), math.sin(angle)
    return center[0] + radius * (ref[0] * cos - ref[1] * sin), center[1] + radius * (ref[0] * sin + ref[1] * cos)


def _get(holder: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    value = holder.get(key)
    if not isinstance(value, kind):
        what = "is missing" if value is None else f"is a {type(value).__name__}, not a {kind.__name__}"
        raise Refused(Reason.MALFORMED, place, f"{key} {what}")
    return value


def _number(holder: Mapping[str, Any], key: str, place: str) -> float:
    value = holder.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Reason.MALFORMED, place, f"{key} is not a number")
    # Squares and products of coordinates must stay finite; no part is a million kilometres long.
    if not -1e9 <= value <= 1e9:
        raise Refused(Reason.BAD_NUMBER, f"{place}/{key}", "not a finite number of a sensible size")
    return float(value)


def _vector(holder: Mapping[str, Any], key: str, place: str) -> Vector:
    v, at = _get(holder, key, dict, place), f"{place}/{key}"
    return _number(v, "x", at), _number(v, "y", at), _number(v, "z", at)


def _point(holder: Mapping[str, Any], key: str, place: str) -> Point:
    v, at = _get(holder, key, dict, place), f"{place}/{key}"
    return _number(v, "x", at), _number(v, "y", at)
