"""One server for the whole folder; tests that end one start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serve_parts import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    args = ["--effort", "0", "--queue", "2", "--max-body", "1", "--timeout", "60", "--device", "cpu"]
    started = Server(*args, "--api-key", "secret")
    try:
        yield started.ready()
    finally:
        assert started.close() == 0
