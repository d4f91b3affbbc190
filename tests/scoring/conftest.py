from __future__ import annotations

from scoring_parts import data, executor, folder

__all__ = ["data", "executor", "folder"]
