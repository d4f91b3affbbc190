"""Sketch-extrude programs as data, and what turns them into text and back."""

from cadcoder.program.canonical import canonical, centered, merge_new_bodies, scaled
from cadcoder.program.compact import compact
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse
from cadcoder.program.types import (
    STANDARD_PLANES,
    Arc,
    Circle,
    Curve,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Point,
    Profile,
    Program,
    Sketch,
    Vector,
)

__all__ = [
    "STANDARD_PLANES",
    "Arc",
    "Circle",
    "Curve",
    "Extrude",
    "Line",
    "Loop",
    "Operation",
    "Plane",
    "Point",
    "Profile",
    "Program",
    "Sketch",
    "Vector",
    "canonical",
    "centered",
    "compact",
    "emit",
    "merge_new_bodies",
    "parse",
    "scaled",
]
