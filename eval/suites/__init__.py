"""Suites: what is measured, as data. A name of ``eval/suites/*.yaml``, a YAML file, or simply a folder."""

from __future__ import annotations

from eval.suites.load import Item, Suite, names, read_suite

__all__ = ["Item", "Suite", "names", "read_suite"]
