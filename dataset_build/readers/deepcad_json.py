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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cadcoder.program.types import Extrude, Operation, Program
from dataset_build.readers.features import Box, distance, get, load, named_profiles, operation_of, spanned, swept
from dataset_build.readers.features import stated_box as stated_box
from dataset_build.readers.rejects import Reason, Refused, Reject, read_bytes

OPERATIONS = {
    "NewBodyFeatureOperation": Operation.NEW,
    "JoinFeatureOperation": Operation.JOIN,
    "CutFeatureOperation": Operation.CUT,
    "IntersectFeatureOperation": Operation.INTERSECT,
}
_DISTANCE = ("DistanceExtentDefinition",)


def read(path: Path) -> Program | Reject:
    """Return the program that a JSON file holds, or why there is none."""
    found = read_with_box(path)
    return found if isinstance(found, Reject) else found[0]


def read_with_box(path: Path) -> tuple[Program, Box | None] | Reject:
    """Return the program and the box that the file states for it (None where it states none)."""
    try:
        return from_bytes(read_bytes(path))
    except Refused as e:
        return e.at(str(path))


def from_bytes(raw: bytes) -> tuple[Program, Box | None]:
    """Return the program that a file's bytes hold, and the box that they state for it.

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
    sequence = get(data, "sequence", list, "")
    extrudes: list[Extrude] = []
    for i, item in enumerate(sequence):
        if not isinstance(item, dict):
            raise Refused(Reason.MALFORMED, f"sequence/{i}", "not an object")
        kind = item.get("type")
        if kind == "Sketch":
            continue
        if kind != "ExtrudeFeature":
            raise Refused(Reason.UNKNOWN_COMMAND, f"sequence/{i}", f"a feature of type {kind!r:.60}")
        name = get(item, "entity", str, f"sequence/{i}")
        if not isinstance(entities.get(name), dict):
            raise Refused(Reason.DANGLING_REFERENCE, f"sequence/{i}", f"there is no entity {name:.60}")
        extrudes += _extrudes(entities, entities[name], f"entities/{name}", first=not extrudes)
    if not extrudes:
        raise Refused(Reason.NO_EXTRUDE, "sequence", "no extrude names a profile")
    return Program(tuple(extrudes))


def _extrudes(entities: Mapping[str, Any], e: Mapping[str, Any], place: str, first: bool) -> list[Extrude]:
    """Return one extrude for each sketch that the feature takes profiles from."""
    sketches = named_profiles(entities, e, place)
    if not sketches:
        return []
    return swept(entities, sketches, operation_of(e, OPERATIONS, place, first), _extent(e, place))


def _extent(e: Mapping[str, Any], place: str) -> tuple[float, float]:
    """Return (low, high) along the sketch's normal; the interval holds 0."""
    start = get(e, "start_extent", dict, place).get("type")
    if start != "ProfilePlaneStartDefinition":
        raise Refused(Reason.START_OFFSET, f"{place}/start_extent", f"{start!r:.60}")
    one = distance(e, "extent_one", place, _DISTANCE)
    kind = e.get("extent_type")
    if kind == "OneSideFeatureExtentType":
        low, high = min(0.0, one), max(0.0, one)
    elif kind == "SymmetricFeatureExtentType":
        low, high = -abs(one), abs(one)
    elif kind == "TwoSidesFeatureExtentType":
        two = distance(e, "extent_two", place, _DISTANCE)
        low, high = min(0.0, one, -two), max(0.0, one, -two)
    else:
        raise Refused(Reason.UNKNOWN_EXTENT, place, f"extent type {kind!r:.60}")
    return spanned(low, high, place)
