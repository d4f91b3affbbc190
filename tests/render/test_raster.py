"""The rasteriser against VTK's window: silhouettes, edges, greys and depth, from any side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from cadcoder.render.camera import CAMERAS, GENCAD, Camera, random_camera
from cadcoder.render.gencad import render_gencad_deep, render_view
from cadcoder.render.look import GENCAD_LOOK, Light, Look
from cadcoder.render.mesh import drawable
from cadcoder.render.raster import draw, lines, surface
from cadcoder.render.raster_mesh import Meshes, flatten, pack
from cadcoder.render.raster_views import Cameras, Views, random_cameras

SQUARE = np.ones((3, 3), dtype=bool)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _agreement(true, ours, white=250):
    """Return silhouette IoU, recall and precision of dark edges within a pixel, and the grey difference inside."""
    a, b = (true < white).any(-1), (ours < white).any(-1)
    iou = (a & b).sum() / (a | b).sum()
    ea, eb = true.max(-1) < 60, ours.max(-1) < 60
    recall = (ea & ndimage.binary_dilation(eb, SQUARE)).sum() / max(1, ea.sum())
    precision = (eb & ndimage.binary_dilation(ea, SQUARE)).sum() / max(1, eb.sum())
    inside = ndimage.binary_erosion(a, SQUARE) & b & ~ea & ~eb
    return iou, recall, precision, np.abs(true.astype(int) - ours)[inside].mean()


def _draw(solids, cameras, size, look=GENCAD_LOOK):
    meshes = Meshes.of(solids)
    picture, seen, ink = draw(meshes, Cameras.of(cameras).fit(meshes, size), [look])
    return picture.permute(0, 2, 3, 1).numpy(), seen, ink


def test_gencad_pictures_are_vtks(parts):
    ours = np.full((len(parts), 448, 448, 3), 255, np.uint8)
    ours[:, 56:392], seen, ink = _draw(parts, [GENCAD] * len(parts), (448, 336))
    for part, picture, deep, edge in zip(parts, ours, seen.depth().numpy(), ink.numpy(), strict=True):
        true, near = render_gencad_deep(part)
        iou, recall, precision, grey = _agreement(true, picture)
        assert iou > 0.999 and recall > 0.995 and precision > 0.995 and grey < 0.2
        both = np.isfinite(deep) & np.isfinite(near[56:392]) & ~edge  # the window's edges lie in front of its faces
        off = deep[both] - near[56:392][both]
        # The window's faces lie as far back as they fall away from one pixel to the next: 1.41 for the isometric angle.
        assert 0 <= np.median(off) < 1.5 and np.quantile(np.abs(off), 0.6) < 1.5


def test_small_pictures_are_vtks_too(parts):
    ours, _, _ = _draw(parts, [GENCAD] * len(parts), (224, 224))
    scores = [_agreement(render_view(p, size=224), o) for p, o in zip(parts, ours, strict=True)]
    iou, recall, precision, grey = np.array(scores).T
    assert iou.min() > 0.99 and recall.mean() > 0.99 and precision.mean() > 0.99 and grey.max() < 0.5


@pytest.mark.parametrize("perspective", [False, True])
def test_any_view_is_vtks(parts, perspective):
    rng = np.random.default_rng(3)
    cameras = [random_camera(rng, perspective=perspective) for _ in parts]
    ours, _, _ = _draw(parts, cameras, (224, 224))
    scores = [_agreement(render_view(p, c, size=224), o) for p, c, o in zip(parts, cameras, ours, strict=True)]
    iou, recall, precision, grey = np.array(scores).T
    assert iou.min() > 0.99 and recall.mean() > 0.98 and precision.mean() > 0.98 and np.median(grey) < 0.5


def test_named_views_and_lights_are_vtks(bracket, ring):
    lights = (Light((0.5, 0.7, 1.0)), Light((-1.0, 0.2, 0.5), strength=0.3))
    look = Look(face=(0.8, 0.5, 0.3), specular=0.3, lights=lights, background=(0.9, 0.9, 1.0), edge=None)
    for name in ("front", "top", "corner-+-"):
        ours, _, _ = _draw([bracket, ring], [CAMERAS[name]] * 2, (160, 120), look)
        for solid, picture in zip((bracket, ring), ours, strict=True):
            true = render_view(solid, CAMERAS[name], look, size=(160, 120))
            assert np.median(np.abs(true.astype(int) - picture)) <= 1 and np.abs(true.astype(int) - picture).mean() < 1


def test_cameras_are_fitted_as_one_by_one(parts):
    rng = np.random.default_rng(1)
    cameras = [random_camera(rng, perspective=bool(i % 2)) for i in range(len(parts) - 2)] + [GENCAD, CAMERAS["top"]]
    meshes = Meshes.of(parts)
    size = (200, 150)
    fitted = Cameras.of(cameras).fit(meshes, size)
    drawn = [drawable(p) for p in parts]
    one = Views.of([c.view(d.low, d.points, size) for c, d in zip(cameras, drawn, strict=True)])
    for name in ("target", "right", "up", "back", "distance", "unit"):
        torch.testing.assert_close(getattr(fitted, name), getattr(one, name), rtol=1e-3, atol=2e-2)
    owner = meshes.owner("point")
    assert (fitted.project(meshes.points, owner) - one.project(meshes.points, owner)).abs().max() < 0.05


def test_a_batch_is_its_pictures_one_by_one(parts):
    cameras = [replace(GENCAD, direction=(1.0, -1.0, 0.2 + 0.1 * i)) for i in range(6)]
    together, _, _ = _draw(parts[:6], cameras, (112, 112))
    for i in range(6):
        alone, _, _ = _draw([parts[i]], [cameras[i]], (112, 112))
        assert (alone[0] == together[i]).all()


def test_parts_are_taken_by_number(parts):
    store = Meshes.load(flatten([pack(p) for p in parts[:4]]))
    taken = store.take(torch.tensor([2, 0, 2]))
    assert len(taken) == 3 and taken.points.dtype == torch.float32
    for k, i in enumerate((2, 0, 2)):
        one = store.take(torch.tensor([i]))
        low, high = taken.point_offsets[k : k + 2].tolist()
        assert torch.equal(taken.points[low:high], one.points)
        side = np.ptp(np.asarray(parts[i].vertices), axis=0)
        assert np.allclose(2 * one.half()[0].numpy(), side, rtol=1e-3)


def test_a_cylinder_has_an_outline_in_a_sketch_only(ring):
    meshes = Meshes.of([ring])
    camera = Camera(direction=(0.0, -1.0, 0.3))
    views = Cameras.of([camera]).fit(meshes, (160, 160))
    seen = surface(meshes, views)
    rim = seen.mask[0] & ~torch.from_numpy(ndimage.binary_erosion(seen.mask[0].numpy(), SQUARE))
    sides = rim.clone()
    sides[: 160 // 2 - 20], sides[160 // 2 + 20 :] = False, False
    drawn = {what: lines(meshes, views, seen, what)[0] for what in ("all", "sharp", "sketch")}
    for what, ink in drawn.items():
        near = torch.from_numpy(ndimage.binary_dilation(ink.numpy(), SQUARE))
        covered = float((near & sides).sum() / sides.sum())
        assert covered > 0.9 if what == "sketch" else covered < 0.8
    assert int(drawn["all"].sum()) > int(drawn["sharp"].sum())  # the seam


def test_random_cameras_are_seeded_and_keep_the_part_inside(parts):
    meshes = Meshes.of(parts)
    first, again = (random_cameras(len(parts), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.direction, again.direction)
    seen = surface(meshes, first.fit(meshes, (96, 96)))
    mask = seen.mask
    assert mask.flatten(1).any(1).all()
    assert not (mask[:, 0].any() or mask[:, -1].any() or mask[:, :, 0].any() or mask[:, :, -1].any())


def test_the_picture_of_a_real_script_is_the_published_one(real_pictures):
    import json

    from PIL import Image

    from cadcoder.geometry.build import build
    from cadcoder.program import parse

    rows = [json.loads(line) for line in (real_pictures / "samples.jsonl").read_text().splitlines()][:8]
    for row in rows:
        ours, _, _ = _draw([build(parse(row["code"]))], [GENCAD], (448, 336))
        published = np.asarray(Image.open(real_pictures / row["image"]).convert("RGB"))[56:392]
        iou, recall, precision, grey = _agreement(published, ours[0])
        assert iou > 0.99 and recall > 0.97 and precision > 0.97 and grey < 3
