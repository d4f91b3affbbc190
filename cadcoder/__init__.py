"""Cadcoder: a picture of a part in, the CadQuery script that makes it out."""

__version__ = "0.1.0"
