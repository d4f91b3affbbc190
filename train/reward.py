"""Who marks the scripts that a model writes while it trains: named, not imported, so that it may be anybody's."""

from __future__ import annotations

import pkgutil
from typing import Any

from cadcoder.errors import ConfigError

#: Scripts run in the executor, and their parts are compared with the true ones.
DEFAULT = "cadcoder.scoring.reward:Reward"


def load_reward(name: str = DEFAULT, **options: Any) -> Any:
    """Return a reward: a context that is called as trl's ``GRPOTrainer`` calls its reward functions.

    Args:
        name: ``MODULE:CLASS``.
        options: what the class is made with.

    Raises:
        ConfigError: if there is no such class.
    """
    try:
        kind = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"--reward: {name} cannot be loaded ({error}); give MODULE:CLASS") from None
    return kind(**options)
