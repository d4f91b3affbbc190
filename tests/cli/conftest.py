"""Fixtures of this room; they live beside the helpers that they share."""

from cli_parts import checkpoint

__all__ = ["checkpoint"]
