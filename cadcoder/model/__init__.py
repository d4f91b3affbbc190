"""LLaVA: build, load, framing, tokenizer, generate. Heavy libraries are loaded when a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cadcoder.model.generate import Model

__all__ = ["Model"]


def __getattr__(name: str) -> Any:
    if name == "Model":
        from cadcoder.model.generate import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
