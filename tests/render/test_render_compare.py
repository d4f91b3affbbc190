import numpy as np
import pytest
from PIL import Image, ImageFilter
from render_parts import ENTER, make_program

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.render.camera import CAMERAS
from cadcoder.render.compare import compare, draw_for_compare, likeness, observe
from cadcoder.render.gencad import render_gencad, render_view
from cadcoder.render.look import CAD_LOOK, GENCAD_LOOK, Light, Look
from cadcoder.render.sketch import sketch


def rank(observation, solid, kind, p, rng):
    """Return (likeness of the true part, the best likeness among 5 others of the same family)."""
    others = []
    for i in range(5):
        q = p.copy()
        q[ENTER[kind][i % len(ENTER[kind])]] *= 1 + rng.choice([-1, 1]) * rng.uniform(0.06, 0.25)
        others.append(likeness(observation, build(make_program(kind, q))))
    return likeness(observation, solid), max(others)


def test_the_true_part_comes_first_among_others_of_its_family(programs, parts):
    rng = np.random.default_rng(0)
    first = 0
    for (kind, p), solid in zip(programs, parts, strict=True):
        observation = observe(render_gencad(solid))
        assert observation.seams and observation.light == "camera"
        true, other = rank(observation, solid, kind, p, rng)
        first += true > other
        assert true > 0.95
    assert first >= 19


@pytest.mark.parametrize(
    "look",
    [
        CAD_LOOK,
        Look(
            face=(0.8, 0.3, 0.2), edge=None, lights=(Light((0.5, 0.9, 1.0)),), background=(0.2, 0.3, 0.3), antialias=4
        ),
        Look(face=(0.95, 0.95, 0.9), edge_width=4.0),
    ],
)
def test_it_works_for_other_looks(look, programs, parts):
    rng = np.random.default_rng(0)
    first = 0
    for (kind, p), solid in zip(programs[5:15], parts[5:15], strict=True):
        picture = Image.fromarray(render_view(solid, look=look, size=500))
        observation = observe(picture.filter(ImageFilter.GaussianBlur(0.7)))
        true, other = rank(observation, solid, kind, p, rng)
        first += true > other
    assert first >= 8


def test_it_works_for_sketches(parts):
    first = 0
    for i, solid in enumerate(parts[:10]):
        observation = observe(sketch(solid, np.random.default_rng(i), camera=CAMERAS["gencad"]))
        assert observation.light == "none"
        scores = [likeness(observation, other) for other in parts]
        first += int(np.argmax(scores)) == i
    assert first >= 8


def test_line_width_and_brightness_do_not_matter(bracket):
    from dataclasses import replace

    totals = []
    for look in (
        replace(GENCAD_LOOK, edge_width=3.0),
        replace(GENCAD_LOOK, ambient=0.12, diffuse=0.6),
        replace(GENCAD_LOOK, edge=(0.2, 0.2, 0.2)),
    ):
        observation = observe(render_view(bracket, look=look))
        totals.append(compare(observation, draw_for_compare(bracket, observation)).total)
    assert min(totals) > 0.93 and np.ptp(totals) < 0.06


def test_scale_place_and_picture_size_do_not_matter(plate, ring):
    small = Image.fromarray(render_gencad(plate)).resize((300, 300), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (700, 520), "white")
    canvas.paste(small, (350, 30))
    observation = observe(canvas)
    assert likeness(observation, plate) > 0.93 > likeness(observation, ring) + 0.3


def test_a_blank_picture_is_refused():
    with pytest.raises(InputError, match="nothing stands out"):
        observe(np.full((200, 200, 3), 240, dtype=np.uint8))
    with pytest.raises(InputError, match="at least 16 pixels"):
        observe(np.zeros((4, 4, 3), dtype=np.uint8))
