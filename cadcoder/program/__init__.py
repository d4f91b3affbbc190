"""Sketch-extrude programs as data, and what turns them into text and back."""

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
]
