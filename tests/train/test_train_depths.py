"""Depth as a training target: from a drawing into the square that the model sees."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

import dataset_build.depth as written
import train.depths as read
from cadcoder.geometry.build import build
from cadcoder.model.build import Sizes
from cadcoder.model.framing import frame_placed
from cadcoder.program import parse
from cadcoder.render.gencad import render_gencad, render_gencad_deep
from dataset_build.png import png
from train.loop import Tensors
from train.vision import VisionPretraining, retrieval

BOX = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).extrude(30)\n'


def test_the_two_sides_agree_on_the_format():
    assert (read.COARSE, read.STEP, read.MIDDLE) == (written.COARSE, written.STEP, written.MIDDLE)


def test_depth_of_a_box_is_that_of_its_corners():
    solid = build(parse(BOX))
    picture, near = render_gencad_deep(solid)
    assert (picture == render_gencad(solid)).all()
    assert (np.isfinite(near) == (picture.min(axis=2) < 255)).mean() > 0.99
    # Seen from (1, -1, 1) the width shows as (100 + 60) / sqrt 2 units, fitted to the canvas; the nearest corner
    # lies (50 + 30 + 15) / sqrt 3 units before the middle.
    columns = np.flatnonzero((picture.min(axis=2) < 200).any(axis=0))
    unit = (160 / np.sqrt(2)) / (columns[-1] - columns[0])
    assert near.max() == pytest.approx(95 / np.sqrt(3) / unit, abs=3)
    assert near[np.isfinite(near)].min() == pytest.approx((-50 - 30 + 15) / np.sqrt(3) / unit, abs=3)
    again = written.decode(np.asarray(Image.open(io.BytesIO(png(written.encode(near))))))
    assert np.nanmax(np.abs(again - near[2::4, 2::4])) <= written.STEP / 2


def test_the_grid_follows_the_framing():
    solid = build(parse(BOX))
    picture, near = render_gencad_deep(solid)
    square, place = frame_placed(Image.fromarray(picture), 160)
    grid = read.depth_grid(png(written.encode(near)), place, 160)
    seen = np.asarray(square.convert("L"))[2::4, 2::4] < 200
    assert ((grid > read.NOTHING) == seen).mean() > 0.97
    row, column = np.unravel_index(np.argmax(np.where(grid > read.NOTHING, grid, -999)), grid.shape)
    at = place.source(np.array(4.0 * column + 2), np.array(4.0 * row + 2))
    assert near[int(at[1]), int(at[0])] == pytest.approx(near.max(), abs=12)
    assert grid.max() / read.SCALE == pytest.approx(near.max() * place.scale / 160, abs=0.02)
    assert (read.depth_grid(None, place, 160) == read.UNKNOWN).all()


def test_the_depth_layer_puts_each_patch_in_its_place():
    module = VisionPretraining(torch.nn.Identity(), Sizes(image=32, patch=8, vision_width=4, vision_heads=1))
    module.norm = torch.nn.Identity()
    with torch.no_grad():  # depth of cell (i, j) of a patch = its first feature + 10 i + j
        module.depth.weight.zero_()
        module.depth.weight[:4, 0] = 1
        module.depth.bias.copy_(torch.tensor([0.0, 1, 10, 11, 0, 0, 0, 0]))
    patches = torch.zeros(1, 16, 4)
    patches[0, :, 0] = 100 * torch.arange(16)
    depth, there = module.read_depth(patches)
    assert depth.shape == there.shape == (1, 8, 8)
    assert depth[0, 2:4, 4:6].tolist() == [[600, 601], [610, 611]]  # second row, third column of patches


def test_retrieval_counts_ranks():
    class Clip(torch.nn.Module):
        def forward(self, input_ids, pixel_values):
            out = torch.nn.functional.one_hot(input_ids[:, 0], 4).float()
            return type("Out", (), {"image_embeds": out.roll(int(pixel_values.mean() > 0), 0), "text_embeds": out})

    module = VisionPretraining(Clip(), Sizes(image=32, patch=8, vision_width=4, vision_heads=1))
    ids = torch.arange(4)[:, None]
    for grey, right in ((0, 1.0), (255, 0.0)):
        images = torch.full((4, 32, 32), grey, dtype=torch.uint8)
        batch = Tensors(images, torch.zeros(4, 8, 8, dtype=torch.int8), ids, torch.ones(4))
        assert retrieval(module, [batch]) == {"recall@1 of 4": right, "recall@10 of 4": 1.0}
