"""The Fusion 360 Gallery's reconstruction JSON as programs.

Format: Willis et al., "Fusion 360 Gallery: A Dataset and Environment for Programmatic CAD Construction from Human
Design Sequences", SIGGRAPH 2021, and the data set's ``docs/reconstruction.md``. ``timeline`` lists the features in
order, ``entities`` holds them. Next to DeepCAD's JSON, which is made after it:

* lengths are centimetres (Fusion's own unit) and are kept as they are, as is the box in ``properties``;
* a sketch's ``transform`` takes its coordinates to the world; its z axis is the direction of a positive distance;
* ``start_extent`` may be an ``OffsetStartDefinition``: the extrude starts on a plane moved along the normal;
* a symmetric extent is a ``SymmetricExtentDefinition`` whose ``is_full_length`` says whether its distance is the
  whole length or that on each side;
* ``NewComponentFeatureOperation`` makes a body as ``NewBodyFeatureOperation`` does;
* sketches also hold ``points`` and ``curves`` as they were drawn; the profiles repeat what is needed of them, trimmed,
  and are what is read. A sketch whose curves name points that are not there is damaged all the same, and refused.

Refused: tapers, extents to an object or through everything, starts from an object, ellipses and splines, and extrudes
that reach into a sketch which is not there. Fusion can leave bodies out of a cut; the files name those that take part
but not why, so such a part shows by the box that it states.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cadcoder.program.types import Extrude, Operation, Program
from dataset_build.readers.deepcad_json import OPERATIONS as SHARED
from dataset_build.readers.features import (
    Box,
    distance,
    get,
    load,
    named_profiles,
    number,
    operation_of,
    spanned,
    stated_box,
    swept,
)
from dataset_build.readers.rejects import Reason, Refused, Reject, read_bytes

OPERATIONS = SHARED | {"NewComponentFeatureOperation": Operation.NEW}


def read(path: Path) -> Program | Reject:
    """Return the program that a JSON file holds, or why there is none."""
    try:
        return from_bytes(read_bytes(path))[0]
    except Refused as e:
        return e.at(str(path))


def from_bytes(raw: bytes) -> tuple[Program, Box | None]:
    """Return the program that a file's bytes hold (in centimetres), and the box that they state for it.

    Raises:
        Refused: with the path of the fault within the JSON.
    """
    data = load(raw)
    return from_dict(data), stated_box(data)


def from_dict(data: Mapping[str, Any]) -> Program:
    """Return the program of a parsed file.

    Raises:
        Refused: with the path of the fault within the JSON.
    """
    entities = get(data, "entities", dict, "")
    extrudes: list[Extrude] = []
    for i, item in enumerate(get(data, "timeline", list, "")):
        if not isinstance(item, dict):
            raise Refused(Reason.MALFORMED, f"timeline/{i}", "not an object")
        name = get(item, "entity", str, f"timeline/{i}")
        entity = entities.get(name)
        if not isinstance(entity, dict):
            raise Refused(Reason.DANGLING_REFERENCE, f"timeline/{i}", f"there is no entity {name:.60}")
        kind = entity.get("type")
        if kind == "ExtrudeFeature":
            extrudes += _extrudes(entities, entity, f"entities/{name}", first=not extrudes)
        elif kind != "Sketch":
            raise Refused(Reason.UNKNOWN_COMMAND, f"timeline/{i}", f"a feature of type {kind!r:.60}")
    if not extrudes:
        raise Refused(Reason.NO_EXTRUDE, "timeline", "no extrude names a profile")
    return Program(tuple(extrudes))


def _extrudes(entities: Mapping[str, Any], e: Mapping[str, Any], place: str, first: bool) -> list[Extrude]:
    """Return one extrude for each sketch that the feature takes profiles from."""
    sketches = named_profiles(entities, e, place)
    if not sketches:
        # Unlike DeepCAD's, these files say what every feature did: an empty one would be a part with a piece missing.
        raise Refused(Reason.DANGLING_REFERENCE, f"{place}/profiles", "the extrude names no profile")
    for key in sketches:
        _check_drawn(entities[key], f"entities/{key}")
    operation = operation_of(e, OPERATIONS, place, first)
    return swept(entities, sketches, operation, _extent(e, place), _offset(e, place))


def _check_drawn(sketch: Mapping[str, Any], place: str) -> None:
    """Refuse a sketch whose curves name points that it does not hold."""
    points = get(sketch, "points", dict, place)
    for name, curve in get(sketch, "curves", dict, place).items():
        at = f"{place}/curves/{name:.60}"
        if not isinstance(curve, dict):
            raise Refused(Reason.MALFORMED, at, "not an object")
        for key in ("start_point", "end_point", "center_point"):
            if key in curve and get(curve, key, str, at) not in points:
                raise Refused(Reason.DANGLING_REFERENCE, at, f"there is no point {curve[key]!r:.60}")


def _offset(e: Mapping[str, Any], place: str) -> float:
    """Return how far from its sketch, along the normal, an extrude starts."""
    start, place = get(e, "start_extent", dict, place), f"{place}/start_extent"
    kind = start.get("type")
    if kind == "ProfilePlaneStartDefinition":
        return 0.0
    if kind != "OffsetStartDefinition":
        raise Refused(Reason.START_OFFSET, place, f"{kind!r:.60}")
    return number(get(start, "offset", dict, place), "value", f"{place}/offset")


def _extent(e: Mapping[str, Any], place: str) -> tuple[float, float]:
    """Return (low, high) along the sketch's normal, from the plane of the start; the interval holds 0."""
    kind = e.get("extent_type")
    if kind == "OneSideFeatureExtentType":
        one = distance(e, "extent_one", place, ("DistanceExtentDefinition",))
        return spanned(min(0.0, one), max(0.0, one), place)
    if kind == "SymmetricFeatureExtentType":
        one = abs(distance(e, "extent_one", place, ("SymmetricExtentDefinition",)))
        if get(get(e, "extent_one", dict, place), "is_full_length", bool, f"{place}/extent_one"):
            one /= 2
        return spanned(-one, one, place)
    if kind == "TwoSidesFeatureExtentType":
        one, two = (distance(e, key, place, ("DistanceExtentDefinition",)) for key in ("extent_one", "extent_two"))
        return spanned(min(0.0, one, -two), max(0.0, one, -two), place)
    raise Refused(Reason.UNKNOWN_EXTENT, place, f"extent type {kind!r:.60}")
