"""Suites: what is measured, as data. A name of ``eval/suites/*.yaml``, a YAML file, or simply a folder."""

from __future__ import annotations

from eval.suites.folder import Item
from eval.suites.load import Suite, names, read_suite

__all__ = ["Item", "Suite", "names", "read_suite"]
