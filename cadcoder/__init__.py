"""Cadcoder: a picture of a part in, the CadQuery script that makes it out.

``cadcoder.generate(picture)`` returns a :class:`Part`. Importing this package loads neither torch nor
CadQuery; the first call does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cadcoder.part import Part
    from cadcoder.pipeline import Pipeline, generate

__version__ = "0.1.0"

__all__ = ["Part", "Pipeline", "__version__", "generate"]

_HOMES = {"Part": "cadcoder.part", "Pipeline": "cadcoder.pipeline", "generate": "cadcoder.pipeline"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
