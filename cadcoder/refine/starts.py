"""Simple parts to start a fit from where none of the model's own guesses comes near the picture."""

from __future__ import annotations

from cadcoder.program import STANDARD_PLANES

_OUTLINES = {
    "box": ".rect(80, 60).extrude(50)",
    "cylinder": ".circle(40).extrude(60)",
    "ring": ".circle(50).circle(25).extrude(30)",
}


def simple_parts() -> list[str]:
    """Return scripts of a box and of a cylinder and a ring along each axis."""
    scripts = []
    for name in ("XY", "XZ", "YZ"):
        assert name in STANDARD_PLANES
        for kind, outline in _OUTLINES.items():
            if kind != "box" or name == "XY":
                scripts.append(f'import cadquery as cq\n\nresult = cq.Workplane("{name}"){outline}\n')
    return scripts
