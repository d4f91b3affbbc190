"""The layers that a person said to do without, for every executor of this process that is not told otherwise.

The command line's ``--unsafe-sandbox`` sets it once; a program gives ``Executor(without=...)`` instead. It is no
environment variable, so that nobody inherits a weaker sandbox without having said so.
"""

from __future__ import annotations

from collections.abc import Sequence

from cadcoder.errors import ConfigError
from cadcoder.sandbox import layers

_left_out: tuple[str, ...] = ()


def do_without(names: Sequence[str]) -> None:
    """Have executors opened from now on do without these layers.

    Raises:
        ConfigError: if there is no such layer.
    """
    global _left_out
    _left_out = checked(names)


def left_out() -> tuple[str, ...]:
    """The layers to do without."""
    return _left_out


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """``names`` without repetitions.

    Raises:
        ConfigError: if one is not a layer's.
    """
    fault = layers.unknown(names)
    if fault is not None:
        raise ConfigError(fault)
    return tuple(dict.fromkeys(names))
