"""Draw the pictures of this folder: ``python docs/images/make.py``."""

from pathlib import Path

import numpy as np
from PIL import Image

from cadcoder.geometry.build import build
from cadcoder.program.parse import parse
from cadcoder.render.camera import CAMERAS
from cadcoder.render.gencad import render_gencad, render_view
from cadcoder.render.look import CAD_LOOK
from cadcoder.render.photo import photo
from cadcoder.render.sketch import sketch

HERE = Path(__file__).parent

SCRIPTS = (
    """
import cadquery as cq
result = cq.Workplane("XY").rect(80, 50).extrude(8)
result = result.union(cq.Workplane("XZ", origin=(0, 25, 8)).rect(80, 80).extrude(8))
result = result.cut(cq.Workplane("XZ", origin=(0, 25, 0)).moveTo(0, 28).circle(10).extrude(8))
result = result.cut(cq.Workplane("XY").pushPoints([(-28, -8), (28, -8)]).circle(5).extrude(8))
""",
    """
import cadquery as cq
result = cq.Workplane("XY").slot2D(90, 30).extrude(12)
result = result.union(cq.Workplane("XY").moveTo(-30, 0).circle(10).extrude(40))
result = result.cut(cq.Workplane("XY").moveTo(30, 0).circle(8).extrude(12))
""",
    """
import cadquery as cq
result = cq.Workplane("XY").circle(40).circle(28).extrude(10)
result = result.union(cq.Workplane("XY").circle(30).circle(18).extrude(30))
""",
    """
import cadquery as cq
result = cq.Workplane("XY").polygon(6, 70).circle(16).extrude(24)
result = result.union(cq.Workplane("XY", origin=(0, 0, 24)).circle(26).circle(16).extrude(10))
""",
)


def rows(pictures: list[np.ndarray], width: int) -> Image.Image:
    """Return pictures of one size side by side, ``width`` in a row."""
    return Image.fromarray(np.vstack([np.hstack(pictures[i : i + width]) for i in range(0, len(pictures), width)]))


def main() -> None:
    """Write every picture."""
    parts = [build(parse(script)) for script in SCRIPTS]
    rows([render_gencad(p)[56:392] for p in parts], 4).save(HERE / "gencad_look.png", optimize=True)
    names = [name for name in CAMERAS if name != "gencad"]
    views = [render_view(parts[0], CAMERAS[name], CAD_LOOK, 224) for name in names]
    rows(views, 7).save(HERE / "views.png", optimize=True)
    for style, draw in (("photos", photo), ("sketches", sketch)):
        made = [draw(parts[i % 4], np.random.default_rng(i), size=256) for i in range(8)]
        rows(made, 4).save(HERE / f"{style}.jpg", quality=88)


if __name__ == "__main__":
    main()
