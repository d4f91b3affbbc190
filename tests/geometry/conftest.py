"""Fixtures of this room; they live beside the helpers that they share."""

from geometry_parts import data, parts

__all__ = ["parts", "data"]
