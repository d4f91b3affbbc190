"""The sandbox's own tests start its processes themselves."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _own_processes(cold: None) -> None:
    """Nothing is shared with other rooms."""
