"""Families of pictures in a set: the views they promise, their maps, and bytes that hang on seed and number alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.render.camera import GENCAD
from cadcoder.render.gencad import render_gencad, render_view, render_views
from cadcoder.render.maps import draw_maps
from cadcoder.render.mesh import drawable
from cadcoder.render.staged import shoot
from dataset_build.build import build_set, main
from dataset_build.card import write_sheets
from dataset_build.pictures import CORNERS, draw
from dataset_build.png import png
from dataset_build.shards import schema
from dataset_build.sources import Synthetic
from dataset_build.wish import FAMILIES, MAPS, NONE, Wish, as_wish, read_wish

BRACKET = """
import cadquery as cq
result = cq.Workplane("XY").rect(80, 50).extrude(8)
result = result.union(cq.Workplane("XZ", origin=(0, 25, 8)).rect(80, 80).extrude(8))
result = result.cut(cq.Workplane("XY").pushPoints([(-28, -8), (28, -8)]).circle(5).extrude(8))
"""
VIEWS = {
    "gencad": ("gencad",),
    "gencad5": ("gencad", *(f"gencad-scaled-{k}" for k in range(1, 5))),
    "cadbench": (*CORNERS, "grid"),
    "photo": ("photo",),
    "lines": ("lines",),
    "sketch": ("sketch",),
}


@pytest.fixture(scope="module")
def bracket():
    return build(parse(BRACKET))


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_what_it_promises(family, bracket):
    wish = Wish((family,), tuple(MAPS), seed=4)
    first, again, other = draw(bracket, wish, 7), draw(bracket, wish, 7), draw(bracket, wish, 8)
    assert first == again
    assert first.views == VIEWS[family] and len(first.images) == len(first.views) - 1
    assert (first == other) is (family in ("gencad", "cadbench", "lines"))
    assert (first == draw(bracket, replace(wish, seed=5), 7)) is (family in ("gencad", "cadbench", "lines"))
    pictures = [opened(data) for data in (first.image, *first.images)]
    sides = [268 if v == "grid" else 448 for v in first.views]
    assert all(p.shape == (s, s, 3) for p, s in zip(pictures, sides, strict=True))
    assert all(p.std() > 2 for p in pictures)
    assert (first.depth is not None) is (family in ("gencad", "gencad5"))
    assert set(first.maps) == set(MAPS.values())
    mask, depth, normals = (opened(first.maps[n]) for n in ("mask", "depth_map", "normal_map"))
    assert depth.dtype == np.uint16 and set(np.unique(mask)) == {0, 255} and mask.any()
    assert ((depth > 0) == (mask > 0)).all() and (normals[mask == 0] == 128).all()
    length = np.linalg.norm(normals[mask > 0].astype(float) / 127.5 - 1, axis=1)
    assert np.abs(length - 1).max() < 0.02
    assert (normals[mask > 0][:, 2] > 120).mean() > 0.99  # what is seen looks at the eye


def test_gencad_is_as_it_was(bracket):
    found = draw(bracket, Wish(), 0)
    assert found.images == () and found.maps == {}
    assert found.image == png(render_gencad(bracket))


def test_the_scaled_pictures_are_the_same_view_smaller(bracket):
    found = draw(bracket, Wish(("gencad5",)), 3)
    sizes, places = [], []
    for data in (found.image, *found.images):
        rows, columns = np.nonzero((opened(data) < 200).any(axis=2))
        sizes.append(max(np.ptp(rows), np.ptp(columns)))
        places.append(((rows.max() + rows.min()) / 2 - 223.5) / sizes[-1])
    assert np.ptp(places) < 0.01
    assert sizes[0] > max(sizes[1:]) and len(set(sizes)) == 5
    assert 0.38 < min(sizes) / sizes[0] < 0.56 and 0.78 < max(sizes[1:]) / sizes[0] < 0.97


def test_several_views_are_as_each_alone(bracket):
    cameras = [GENCAD, replace(GENCAD, direction=(-1.0, 1.0, -1.0))]
    both = render_views(bracket, cameras, size=128)
    assert all((render_view(bracket, c, size=128) == p).all() for c, p in zip(cameras, both, strict=True))


def test_depths_are_in_pixels_before_the_middle(bracket):
    part = drawable(bracket)
    view = replace(GENCAD, direction=(0.0, 0.0, 1.0), up=(0.0, 1.0, 0.0)).view(part.low, part.points, (448, 448))
    maps, _ = draw_maps(part, view)
    top = maps.near[maps.mask].max() * view.unit
    assert top == pytest.approx(bracket.extents[2] / 2, rel=1e-3)
    assert (maps.normals[maps.mask][:, 2] == 255).mean() > 0.9  # seen from above, nearly all looks up


def test_photographs_differ_and_show_the_part(bracket):
    shots = [shoot(bracket, np.random.default_rng(k)) for k in range(6)]
    assert len({s.file for s in shots}) == 6
    assert all(2_000 < len(s.file) < 200_000 and s.image.shape == (448, 448, 3) for s in shots)
    seen = [s.maps.mask.mean() for s in shots]
    assert min(seen) > 0.02 and max(seen) < 1
    # The part is told from what it lies on: its colours are not those around it.
    apart = [np.abs(s.image[s.maps.mask].mean(axis=0) - s.image[~s.maps.mask].mean(axis=0)).max() for s in shots]
    assert np.median(apart) > 8


def test_wishes_are_read_and_refused():
    assert read_wish("gencad") == Wish() and read_wish("none") == NONE and not NONE
    assert read_wish("photo, gencad", "mask,depth", 3) == Wish(("photo", "gencad"), ("depth", "mask"), 3)
    assert as_wish(True) == Wish() and as_wish(False) == NONE and Wish().plain() and not Wish(("photo",)).plain()
    for given in (("x", ""), ("", ""), ("gencad,gencad5", ""), ("photo,photo", ""), ("none", "mask"), ("photo", "fog")):
        with pytest.raises(ConfigError, match="--pictures|--maps"):
            read_wish(*given)


def test_a_set_of_several_pictures(tmp_path):
    datasets = pytest.importorskip("datasets")
    wish = Wish(("photo", "cadbench"), ("mask",), seed=2)
    for name, workers in (("a", 1), ("b", 2)):
        build_set(Synthetic(6, 1), tmp_path / name, {"verify": "fast"}, workers, 4, images=wish)
    for path in sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        assert (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes() == path.read_bytes()
    found = datasets.load_dataset("parquet", data_dir=str(tmp_path / "a"), split="train", cache_dir=str(tmp_path / "c"))
    assert found.column_names[-3:] == ["mask", "images", "views"] and "depth" not in found.column_names
    row = found[5]
    assert row["views"] == ["photo", *CORNERS, "grid"] and len(row["images"]) == 9
    assert row["image"].size == (448, 448) and row["images"][8].size == (268, 268) and row["mask"].mode == "L"
    assert isinstance(found.features["images"].feature, datasets.Image)


def test_the_plain_set_has_the_columns_it_had():
    assert schema().names == ["image", "code", "program", "caption", "source", "seed", "depth"]
    assert schema(False).names == ["code", "program", "caption", "source", "seed"]
    features = json.loads(schema().metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema().names and features["depth"] == {"_type": "Image"}


def test_pictures_on_the_command_line(tmp_path, capsys):
    given = ["--source", "synthetic", "--count", "2", "--workers", "1", "-q", "--out", str(tmp_path / "a")]
    assert main([*given, "--pictures", "lines"]) == 0
    assert pq.read_schema(next((tmp_path / "a" / "data").iterdir())).names[0] == "image"
    assert main(given) == 2 and "pictures" in capsys.readouterr().err
    assert main([*given, "--pictures", "nice"]) == 2 and "--pictures" in capsys.readouterr().err


def test_16_bit_png():
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert (opened(png(image))[:, :, None] == image).all()
    with pytest.raises(ValueError, match="uint8"):
        png(np.zeros((4, 4, 3), np.uint16))


@pytest.mark.slow
def test_contact_sheets(tmp_path):
    assert all(p.stat().st_size < 300_000 for p in write_sheets(tmp_path))
