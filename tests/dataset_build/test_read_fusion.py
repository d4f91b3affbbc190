"""The Fusion 360 Gallery's JSON: self-made parts of every extent, faults, and the published samples."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_inputs import part_json
from cadcoder.geometry.build import build
from cadcoder.program.types import Operation, Program
from dataset_build.files import open_files
from dataset_build.make import make
from dataset_build.parts import Part
from dataset_build.readers import fusion360
from dataset_build.readers.features import stated_box
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.shards import Sample

DATA = Path(os.environ.get("CADCODER_DATA", Path(__file__).parents[3] / "shared" / "data")) / "fusion360_samples"
real = pytest.mark.skipif(not DATA.exists(), reason="the development data is not here")


def changed(path, value):
    data = copy.deepcopy(part_json(True))
    *way, last = path.split("/")
    holder = data
    for key in way:
        holder = holder[int(key) if isinstance(holder, list) else key]
    holder[last] = value
    return data


def span(data, which=0):
    e = fusion360.from_dict(data).extrudes[which]
    base = e.sketch.plane.origin[2]
    return base - e.backward, base + e.forward


def offset(value):
    return {"type": "OffsetStartDefinition", "offset": {"value": value}}


def test_a_part_of_two_extrudes():
    program = fusion360.from_dict(part_json(True))
    assert [e.operation for e in program.extrudes] == [Operation.NEW, Operation.CUT]
    assert len(program.extrudes[0].sketch.profiles[0].holes) == 1
    solid = build(program)
    assert np.abs(solid.bounds - np.array(stated_box(part_json(True)))).max() < 1e-6


def test_a_start_offset_moves_the_plane_along_the_normal():
    assert span(part_json(True)) == (0, 1)
    assert span(changed("entities/E1/start_extent", offset(1.5))) == (1.5, 2.5)
    assert span(changed("entities/E1/start_extent", offset(-1.5))) == (-1.5, -0.5)
    against = changed("entities/E1/start_extent", offset(1.0))
    against["entities"]["E1"]["extent_one"]["distance"]["value"] = -2.0
    assert span(against) == (-1.0, 1.0)
    tilted = changed("entities/E1/start_extent", offset(2.0))
    axes = {"x_axis": (1, 0, 0), "y_axis": (0, 0, -1), "z_axis": (0, 1, 0)}
    tilted["entities"]["S1"]["transform"] |= {k: dict(zip("xyz", v, strict=True)) for k, v in axes.items()}
    assert fusion360.from_dict(tilted).extrudes[0].sketch.plane.origin == (0, 2, 0)


def test_symmetric_extents_of_full_and_half_length():
    assert span(part_json(True), 1) == (0.375, 0.625)
    assert span(changed("entities/E2/extent_one/is_full_length", False), 1) == (0.25, 0.75)


def test_two_sides_intersect_and_new_component():
    data = part_json(True, "Intersect")
    made = fusion360.from_dict(data).extrudes[1]
    assert (made.forward, made.backward, made.operation) == (0.25, 0.25, Operation.INTERSECT)
    data["entities"]["E1"]["operation"] = "NewComponentFeatureOperation"
    assert fusion360.from_dict(data).extrudes[0].operation is Operation.NEW


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("timeline", {}, Reason.MALFORMED),
        ("timeline/0/entity", "X", Reason.DANGLING_REFERENCE),
        ("entities/S1/type", "Fillet", Reason.UNKNOWN_COMMAND),
        ("entities/E1/operation", "CutFeatureOperation", Reason.FIRST_NOT_NEW),
        ("entities/E1/profiles", [], Reason.DANGLING_REFERENCE),
        ("entities/E1/extent_one/taper_angle/value", 0.1, Reason.TAPER),
        ("entities/E1/extent_one/type", "ToEntityExtentDefinition", Reason.UNKNOWN_EXTENT),
        ("entities/E1/extent_type", "AllFeatureExtentType", Reason.UNKNOWN_EXTENT),
        ("entities/E1/extent_one/distance/value", 0.0, Reason.ZERO_EXTENT),
        ("entities/E1/start_extent", {"type": "FromEntityStartDefinition"}, Reason.START_OFFSET),
        ("entities/E1/start_extent", {"type": "OffsetStartDefinition"}, Reason.MALFORMED),
        ("entities/E2/extent_one/is_full_length", None, Reason.MALFORMED),
        ("entities/S1/curves/c/start_point", "gone", Reason.DANGLING_REFERENCE),
        ("entities/S1/profiles/P/loops/0/profile_curves/0/type", "NurbsCurve3D", Reason.UNKNOWN_CURVE),
    ],
)
def test_faults_have_a_reason(path, value, reason):
    with pytest.raises(Refused) as refused:
        fusion360.from_dict(changed(path, value))
    assert refused.value.reason is reason and refused.value.detail


PATHS: list[tuple] = []


def _walk(value, way=()):
    PATHS.append(way)
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        _walk(inner, (*way, key))


_walk(part_json(True))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([]), st.just({}))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS[1:]), values)
def test_any_value_anywhere_is_a_program_or_a_reason(way, value):
    holder = data = part_json(True)
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value
    try:
        assert isinstance(fusion360.from_dict(data), Program)
    except Refused as e:
        assert e.reason in Reason


@real
def test_published_samples_are_their_boxes_and_their_step():
    from cadcoder.geometry.read import read_solid

    found = open_files("fusion360", DATA, None)
    parts = {found.name(i): found.part(i) for i in range(len(found))}
    assert sorted(parts) == [
        "Couch.json",
        "Hexagon.json",
        "SingleSketchExtrude.json",
        "SingleSketchExtrude_Invalid.json",
    ]
    invalid = parts.pop("SingleSketchExtrude_Invalid.json")
    assert isinstance(invalid, Reject) and invalid.reason is Reason.DANGLING_REFERENCE and "/curves/" in invalid.place
    for name, part in parts.items():
        assert isinstance(part, Part) and part.box is not None
        row = make(part, name, images=False)
        assert isinstance(row, Sample) and row.source == f"fusion360/{name}"
    # The STEP is in millimetres, the JSON in centimetres.
    assert build(parts["Couch.json"].program).scaled(10).iou(read_solid(DATA / "Couch.step")) >= 0.999
