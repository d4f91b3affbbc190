"""Runs untrusted CadQuery scripts and returns what became of them; importing it loads neither cadquery nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["STATUSES", "Executor", "Outcome"]

if TYPE_CHECKING:
    from cadcoder.sandbox.executor import Executor
    from cadcoder.sandbox.outcome import STATUSES, Outcome
else:

    def __getattr__(name: str) -> object:
        """Load the public names on first use."""
        if name == "Executor":
            from cadcoder.sandbox.executor import Executor

            return Executor
        if name in ("Outcome", "STATUSES"):
            from cadcoder.sandbox import outcome

            return getattr(outcome, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
