"""Fixtures of this room; they live beside the helpers that they share."""

from render_parts import box, bracket, parts, plate, programs, real_pictures, ring

__all__ = ["programs", "parts", "box", "ring", "bracket", "plate", "real_pictures"]
