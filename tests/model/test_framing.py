"""Framing: the part fills the square, wherever it was in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cadcoder.errors import InputError
from cadcoder.model.framing import SQUARE, Framing, border_colour, content_box, frame


def _picture(size=(448, 448), box=(100, 150, 300, 250), background="white", fill=(141, 141, 141)):
    image = Image.new("RGB", size, background)
    ImageDraw.Draw(image).rectangle(box, fill=fill)
    return image


def _box(image, background=(255, 255, 255)):
    return content_box(image.convert("RGB"), np.array(background))


def test_the_content_fills_the_square_but_for_the_margin():
    left, top, right, bottom = _box(frame(_picture(), 160))
    assert abs(left - 6) <= 1 and abs(right - 154) <= 1
    assert abs((top + bottom) / 2 - 80) <= 1
    assert abs((right - left) / (bottom - top) - 201 / 101) < 0.05


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.integers(20, 180), st.integers(20, 180))
def test_where_the_part_stands_makes_no_difference(x, y, w, h):
    moved = frame(_picture(box=(x + 2, y + 2, x + w, y + h)), 64)
    still = frame(_picture(box=(60, 60, 58 + w, 58 + h)), 64)
    assert np.array_equal(np.asarray(moved), np.asarray(still))


@pytest.mark.parametrize("size", [(300, 448), (640, 480), (1600, 1200), (20, 20)])
def test_any_size_becomes_the_square(size):
    framed = frame(_picture(size, (5, 5, size[0] - 6, size[1] - 6)), 96)
    assert framed.size == (96, 96) and framed.mode == "RGB"


def test_a_coloured_uniform_border_is_background():
    framed = frame(_picture(background=(20, 60, 90), fill=(200, 10, 10)), 100, Framing(grey=False))
    assert framed.getpixel((1, 1)) == (20, 60, 90)
    left, _, right, _ = _box(framed, (20, 60, 90))
    assert right - left >= 91


def test_grey_drops_the_colours():
    pixels = np.asarray(frame(_picture(fill=(200, 10, 10)), 50))
    assert np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_busy_border_is_taken_whole():
    noise = np.random.default_rng(0).integers(0, 255, (60, 120, 3), np.uint8)
    assert border_colour(noise) is None
    framed = np.asarray(frame(Image.fromarray(noise), 120, Framing(margin=0.0, grey=False)))
    assert np.array_equal(framed[30:90], noise)
    assert (np.abs(framed[:29].astype(int) - 127) < 6).all()


def test_square_padding_keeps_the_whole_picture():
    image = _picture((200, 100), (50, 40, 60, 60))
    left, top, right, bottom = _box(frame(image, 200, SQUARE))
    assert (left, top, right, bottom) == (50, 90, 61, 111)


def test_a_blank_picture_is_blank():
    assert np.asarray(frame(Image.new("RGB", (50, 80), "white"), 32)).min() == 255


def test_thin_edges_keep_their_darkness_on_average():
    image = Image.new("RGB", (448, 448), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 447, 447), outline="black")
    ImageDraw.Draw(image).line((224, 0, 224, 447), fill="black")
    framed = np.asarray(frame(image, 112, Framing(crop=False, margin=0.0)), float)
    assert abs((255 - framed[50, 54:58, 0]).sum() - 255 / 4) < 8


def test_faults_are_told():
    with pytest.raises(InputError):
        frame(Image.new("RGB", (5, 5)), 0)
    with pytest.raises(InputError, match="margin"):
        Framing(margin=0.5)
