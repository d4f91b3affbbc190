"""Mesh shards, the store, and the framing of many pictures at once."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cadcoder.errors import CadCoderError
from cadcoder.model.framing import Framing, frame_placed
from cadcoder.render.raster_effects import Dice, jpeg, smear
from cadcoder.render.raster_looks import FAMILIES
from train.depths import NOTHING
from train.offline.meshes import build_meshes, shard_files
from train.offline.squares import depth_grids, frame
from train.offline.store import Store, read_scripts


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _encode(texts: list[str]) -> list[list[int]]:
    return [list(t.encode()) for t in texts]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("meshes")
    build_meshes(out, 45, seed=3, workers=2, shard=15)
    return out


@pytest.fixture(scope="module")
def store(shards) -> Store:
    found = Store(shards, _encode, 10_000, 0, torch.device("cpu"))
    found.refresh()
    return found


def test_shards_are_the_same_however_they_are_built(shards, tmp_path):
    build_meshes(tmp_path, 15, seed=3, workers=1, shard=15)
    for mine, theirs in zip(shard_files(tmp_path), shard_files(shards), strict=False):
        assert mine.read_bytes() == theirs.read_bytes()
    stamp = shard_files(tmp_path)[0].stat().st_mtime_ns
    assert build_meshes(tmp_path, 30, seed=3, workers=1, shard=15) == 2
    assert shard_files(tmp_path)[0].stat().st_mtime_ns == stamp
    assert shard_files(tmp_path)[1].read_bytes() == shard_files(shards)[1].read_bytes()


def test_scripts_build_the_meshes_beside_them(shards, store):
    from cadcoder.geometry.build import build
    from cadcoder.program import parse

    scripts = read_scripts(shards, 1000)
    assert 35 < len(scripts) == len(store) <= 45
    rows = np.array([5, 20, 34])
    meshes = store.take(rows)
    for k, row in enumerate(rows):
        solid = build(parse(scripts[row]))
        low, high = meshes.point_offsets[k : k + 2].tolist()
        box = np.ptp(meshes.points[low:high].numpy(), axis=0)
        assert np.allclose(box, np.ptp(solid.vertices, axis=0), atol=0.01)
    ids = store.scripts(rows, 1000, 7)
    for k, row in enumerate(rows):
        text = scripts[row].encode()
        assert ids[k, : len(text)].tolist() == list(text)
        assert ids[k, len(text)] == 0 and (ids[k, len(text) + 1 :] == 7).all()


def test_a_growing_folder_is_taken_up_in_order(shards):
    paths = [p.name for p in shard_files(shards)]
    found = Store(shards, _encode, 10_000, 0, torch.device("cpu"))
    assert found.refresh(paths[:1]) == paths[:1]
    first = found.take(np.array([3])).points
    while len(found.refresh()) < len(paths):  # what is not read yet is left for later
        time.sleep(0.01)
    assert found.names[0] == paths[0] and sorted(found.names) == paths and len(found) == sum(found.counts)
    assert torch.equal(found.take(np.array([3])).points, first)


def test_shards_that_come_out_of_order_keep_the_order_in_which_they_were_taken(shards, tmp_path):
    paths = shard_files(shards)
    for path in (paths[1], paths[2]):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def opened() -> Store:
        return Store(tmp_path, _encode, 10_000, 0, torch.device("cpu"), tmp_path / "order.json")

    found = opened()
    assert found.refresh() == [paths[1].name, paths[2].name]
    (tmp_path / paths[0].name).write_bytes(paths[0].read_bytes())
    again = opened()
    assert again.refresh() == [paths[1].name, paths[2].name, paths[0].name]
    assert torch.equal(again.take(np.array([3])).points, found.take(np.array([3])).points)
    (tmp_path / paths[2].name).unlink()
    with pytest.raises(CadCoderError, match="is gone"):
        opened().refresh()


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("crop", [True, False])
def test_squares_are_those_of_the_framing(store, family, crop):
    drawn = FAMILIES[family](store.take(np.arange(4)), Dice(4, torch.Generator().manual_seed(2), "cpu"), 448)
    how = Framing(crop=crop)
    squares, places = frame(drawn.pictures, 160, how)
    for i, picture in enumerate(drawn.pictures):
        true, place = frame_placed(Image.fromarray(picture.numpy()), 160, how)
        assert tuple(places.box[i].tolist()) == place.box and tuple(places.corner[i].tolist()) == place.corner
        off = np.abs(np.asarray(true.convert("L"), int) - squares[i].numpy())
        assert off.mean() < 0.2 and np.quantile(off, 0.99) <= 1


def test_depth_lies_where_the_part_is(store):
    drawn = FAMILIES["corner"](store.take(np.arange(8)), Dice(8, torch.Generator().manual_seed(2), "cpu"), 448)
    squares, places = frame(drawn.pictures, 160, Framing())
    grids = depth_grids(drawn.nearness, places, 160)
    known = grids > NOTHING
    shown = squares[:, 2::4, 2::4] < 240
    assert (known == shown).float().mean() > 0.93
    assert 20 < grids[known].float().abs().max() <= 127


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_families_are_seeded_and_differ_from_part_to_part(store, family):
    def drawn(seed: int) -> torch.Tensor:
        dice = Dice(5, torch.Generator().manual_seed(seed), "cpu")
        return FAMILIES[family](store.take(np.arange(5)), dice, 96).pictures

    first = drawn(1)
    assert first.shape == (5, 96, 96) and first.dtype == torch.uint8
    assert torch.equal(first, drawn(1))
    if family != "corner":
        assert not torch.equal(first, drawn(2))
    assert (first.float().flatten(1).std(1) > 1).all()
    assert len({p.numpy().tobytes() for p in first}) == 5


def test_jpeg_and_blur_do_what_their_models_do():
    import io

    from scipy import ndimage

    rng = np.random.default_rng(0)
    grey = ndimage.gaussian_filter(rng.uniform(0, 255, (64, 80)), 2)
    grey = np.clip((grey - grey.min()) / np.ptp(grey) * 255, 0, 255).astype(np.uint8)
    for quality in (40, 75, 95):
        held = io.BytesIO()
        Image.fromarray(grey).save(held, "JPEG", quality=quality)
        true = np.asarray(Image.open(held), int)
        ours = jpeg(torch.from_numpy(grey)[None].float(), torch.tensor([float(quality)]))[0].numpy()
        assert np.abs(true - ours).mean() < 0.35
    sharp = torch.from_numpy(grey)[None].float()
    blurred = smear(sharp, torch.tensor([1.7]))[0].numpy()[8:-8, 8:-8]
    assert np.abs(blurred - ndimage.gaussian_filter(grey.astype(float), 1.7)[8:-8, 8:-8]).max() < 1


def test_batches_go_on_in_the_middle_of_what_is_drawn_together(shards, tmp_path):
    from train.config import load_recipe
    from train.offline.pool import MeshPool

    small = "data.held_out=4 drawn.canvas=64 drawn.ahead=3 drawn.two=0.3 drawn.four=0.2 model.image=32 model.patch=8"
    recipe = load_recipe("train/configs/gpu.yaml", small.split())

    def pool() -> MeshPool:
        found = Store(shards, _encode, 10_000, 0, torch.device("cpu"))
        found.refresh()
        return MeshPool(recipe, found, 5, 8, 7, several=True)

    whole = pool()
    unbroken = []
    for (batch, position), _ in zip(whole.batches(), range(8), strict=False):
        unbroken.append((batch, position))
    assert {b.images.dim() for b, _ in unbroken} == {3, 4}
    assert all(len(b.ids) == len(b.images) == len(b.lengths) for b, _ in unbroken)
    assert unbroken[-1][1]["pass"] == 1
    again = pool()
    again.restore(unbroken[3][1])
    for (batch, position), (true, where) in zip(again.batches(), unbroken[4:], strict=False):
        assert position == where
        assert torch.equal(batch.images, true.images) and torch.equal(batch.ids, true.ids)
        assert torch.equal(batch.depths, true.depths)
    held = [torch.equal(a.images, b.images) for a, b in zip(pool().held_out(2), whole.held_out(2), strict=True)]
    assert held == [True, True]


def test_the_recipe_fits_the_wheel_and_its_faults_are_named():
    from cadcoder.errors import ConfigError
    from train.config import load_recipe
    from train.offline.measure import operations

    recipe = load_recipe("train/configs/gpu.yaml")
    m = recipe.model
    tower = m.vision_layers * 12 * m.vision_width**2 + 3 * m.patch**2 * m.vision_width
    decoder = m.layers * (4 * m.width**2 + 3 * m.width * m.feed_forward) + recipe.tokenizer.vocab_size * m.width
    assert 2 * (tower + decoder) < 17.3e6  # bytes in bf16
    one, four = (sum(operations(m, views).values()) for views in (1, 4))
    assert 1.1e10 < one < 1.2e10 and 4 * one < four < 4.2 * one  # attention grows with the square
    with pytest.raises(ConfigError, match="4 fault.*add up to 1.*more than 1.*multiple of 8.*drawn.ahead"):
        load_recipe("train/configs/gpu.yaml", "drawn.corner=0.9 drawn.two=2 drawn.canvas=100 drawn.ahead=0".split())
    with pytest.raises(ConfigError, match="image tokens of 4 picture"):
        load_recipe("train/configs/gpu.yaml", ["model.positions=900"])
