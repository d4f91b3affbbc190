"""What the JSON of DeepCAD and of the Fusion 360 Gallery have in common: planes, profiles, curves and numbers.

Format: a sketch has a ``transform`` (origin and three axes) and named ``profiles`` of ``loops`` of ``profile_curves``
in sketch coordinates (``Line3D``, ``Arc3D``, ``Circle3D``, as Autodesk's geometry classes are called). Every function
raises :class:`~dataset_build.readers.rejects.Refused` with the place of the fault, whatever the JSON holds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.types import Arc, Circle, Extrude, Line, Operation, Plane, Point, Profile, Sketch, Vector
from dataset_build.readers.loops import chain, closed, nest
from dataset_build.readers.rejects import Reason, Refused

#: The axis-aligned box (min corner, max corner) that a file states for its part.
Box = tuple[Vector, Vector]


def load(raw: bytes) -> Mapping[str, Any]:
    """Return the JSON object that the bytes hold.

    Raises:
        Refused: ``MALFORMED``.
    """
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
        box = get(get(data, "properties", dict, ""), "bounding_box", dict, "")
        return vector(box, "min_point", ""), vector(box, "max_point", "")
    except Refused:
        return None


def named_profiles(entities: Mapping[str, Any], e: Mapping[str, Any], place: str) -> dict[str, list[Profile]]:
    """Return the profiles that an extrude names, by the key of their sketch; empty where it names none."""
    sketches: dict[str, list[Profile]] = {}
    for i, ref in enumerate(get(e, "profiles", list, place)):
        if not isinstance(ref, dict):
            raise Refused(Reason.MALFORMED, f"{place}/profiles/{i}", "not an object")
        sketch, profile = (get(ref, key, str, f"{place}/profiles/{i}") for key in ("sketch", "profile"))
        found = entities.get(sketch)
        held = found.get("profiles") if isinstance(found, dict) else None
        if not isinstance(held, dict) or not isinstance(held.get(profile), dict):
            raise Refused(Reason.DANGLING_REFERENCE, f"{place}/profiles/{i}", f"no profile {sketch:.60}/{profile:.60}")
        where = f"entities/{sketch}/profiles/{profile}"
        sketches.setdefault(sketch, []).extend(profiles(held[profile], where))
    return sketches


def operation_of(e: Mapping[str, Any], known: Mapping[str, Operation], place: str, first: bool) -> Operation:
    """Return the operation of an extrude; the first of a part makes a body.

    Raises:
        Refused: ``UNKNOWN_OPERATION``, or ``FIRST_NOT_NEW`` where the first one cuts or intersects.
    """
    name = get(e, "operation", str, place)
    if name not in known:
        raise Refused(Reason.UNKNOWN_OPERATION, place, f"operation {name:.60}")
    operation = known[name]
    if first and operation in (Operation.CUT, Operation.INTERSECT):
        raise Refused(Reason.FIRST_NOT_NEW, place, f"the first extrude is a {operation.value}")
    return Operation.NEW if first else operation


def swept(
    entities: Mapping[str, Any],
    sketches: Mapping[str, Iterable[Profile]],
    operation: Operation,
    extent: tuple[float, float],
    offset: float = 0.0,
) -> list[Extrude]:
    """Return one extrude for each sketch of a feature.

    Args:
        entities: of the file, for the sketches' planes.
        sketches: profiles by the key of their sketch.
        operation: of the feature.
        extent: (low, high) along the normal, from the plane where the extrude starts; the interval holds 0.
        offset: of that plane from the sketch's, along the normal.
    """
    low, high = extent
    out = []
    for key, found in sketches.items():
        at = f"entities/{key}/transform"
        made = plane(get(entities[key], "transform", dict, f"entities/{key}"), at)
        if offset:
            x, y, z = made.to_world((0.0, 0.0), offset)
            made = Plane((x, y, z), made.x_dir, made.normal)
        out.append(Extrude(Sketch(tuple(found), made), high, -low if low else 0.0, operation))
        if operation is Operation.NEW:
            operation = Operation.JOIN  # one feature makes one body, also from two sketches
    return out


def distance(e: Mapping[str, Any], key: str, place: str, kinds: tuple[str, ...]) -> float:
    """Return the length of an extent.

    Raises:
        Refused: ``UNKNOWN_EXTENT`` where it is not of the given kinds, ``TAPER`` where its sides slope.
    """
    extent = get(e, key, dict, place)
    place = f"{place}/{key}"
    if extent.get("type") not in kinds:
        raise Refused(Reason.UNKNOWN_EXTENT, place, f"{extent.get('type')!r:.60}")
    taper = extent.get("taper_angle")
    if isinstance(taper, dict) and abs(number(taper, "value", f"{place}/taper_angle")) > 1e-9:
        raise Refused(Reason.TAPER, place, f"a taper of {taper['value']}")
    return number(get(extent, "distance", dict, place), "value", f"{place}/distance")


def spanned(low: float, high: float, place: str) -> tuple[float, float]:
    """Return (low, high) where that is a length.

    Raises:
        Refused: ``ZERO_EXTENT``.
    """
    if not 0 < high - low < math.inf:
        raise Refused(Reason.ZERO_EXTENT, place, "the extrude has length zero")
    return low, high


def plane(t: Mapping[str, Any], place: str) -> Plane:
    """Return the plane of a transform (``DEGENERATE_PLANE`` where its axes are not a right-handed frame)."""
    origin, x, y, z = (vector(t, key, place) for key in ("origin", "x_axis", "y_axis", "z_axis"))
    try:
        made = Plane(origin, x, z)
        right = sum(a * b for a, b in zip(made.axes()[1], y, strict=True))
    except (InputError, OverflowError, ZeroDivisionError) as e:
        raise Refused(Reason.DEGENERATE_PLANE, place, str(e)) from e
    if not right > 0.999:
        raise Refused(Reason.DEGENERATE_PLANE, place, "its axes are not a right-handed orthonormal frame")
    return made


def profiles(profile: Mapping[str, Any], place: str) -> list[Profile]:
    """Return the regions that a profile's loops bound, by containment."""
    loops = []
    for i, raw in enumerate(get(profile, "loops", list, place)):
        at = f"{place}/loops/{i}"
        if not isinstance(raw, dict):
            raise Refused(Reason.MALFORMED, at, "not an object")
        curves = [curve(c, f"{at}/{k}") for k, c in enumerate(get(raw, "profile_curves", list, at))]
        if not curves:
            raise Refused(Reason.DEGENERATE_LOOP, at, "a loop without curves")
        if any(isinstance(c, Circle) for c in curves):
            loops.append(closed(curves, at))
        else:
            loops.append(chain([c for c in curves if not isinstance(c, Circle)], at))
    if not loops:
        raise Refused(Reason.DEGENERATE_LOOP, place, "a profile without loops")
    return nest(loops)


def curve(c: Any, place: str) -> Line | Arc | Circle:
    """Return one curve in sketch coordinates."""
    if not isinstance(c, dict):
        raise Refused(Reason.MALFORMED, place, "not an object")
    kind = c.get("type")
    if kind == "Line3D":
        return Line(point(c, "start_point", place), point(c, "end_point", place))
    if kind not in ("Arc3D", "Circle3D"):
        raise Refused(Reason.UNKNOWN_CURVE, place, f"{kind!r:.60}")
    center, radius = point(c, "center_point", place), number(c, "radius", place)
    if radius <= 0:
        raise Refused(Reason.BAD_NUMBER, place, f"a radius of {radius}")
    if kind == "Circle3D":
        return Circle(center, radius)
    start, end, ref = (point(c, key, place) for key in ("start_point", "end_point", "reference_vector"))
    a0, a1 = number(c, "start_angle", place), number(c, "end_angle", place)
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


def get(holder: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    """Return a value of a known type (``MALFORMED`` where it is missing or of another)."""
    value = holder.get(key)
    if not isinstance(value, kind):
        what = "is missing" if value is None else f"is a {type(value).__name__}, not a {kind.__name__}"
        raise Refused(Reason.MALFORMED, place, f"{key} {what}")
    return value


def number(holder: Mapping[str, Any], key: str, place: str) -> float:
    """Return a number (``MALFORMED``, or ``BAD_NUMBER`` where it is not finite or beyond sense)."""
    value = holder.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Reason.MALFORMED, place, f"{key} is not a number")
    # Squares and products of coordinates must stay finite; no part is a million kilometres long.
    if not -1e9 <= value <= 1e9:
        raise Refused(Reason.BAD_NUMBER, f"{place}/{key}", "not a finite number of a sensible size")
    return float(value)


def vector(holder: Mapping[str, Any], key: str, place: str) -> Vector:
    """Return the x, y, z of a point or vector."""
    v, at = get(holder, key, dict, place), f"{place}/{key}"
    return number(v, "x", at), number(v, "y", at), number(v, "z", at)


def point(holder: Mapping[str, Any], key: str, place: str) -> Point:
    """Return the x, y of a point in sketch coordinates."""
    v, at = get(holder, key, dict, place), f"{place}/{key}"
    return number(v, "x", at), number(v, "y", at)
