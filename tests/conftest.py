"""What all tests share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

# Where the installed PyTorch brings Triton, it must come before Mesa: each has an LLVM of its own, and the second one
# to be loaded into a process may crash it. The pipeline draws in processes of their own; tests do both in one.
if importlib.util.find_spec("triton") is not None:
    import torch._dynamo  # noqa: F401

#: The files that take longest, in that order; where several processes share the tests, these must not come last.
LONG = (
    "test_sandbox_hostile.py",
    "test_train_run.py",
    "test_card.py",
    "test_sandbox_executor.py",
    "test_offline_fire.py",
    "test_serve_life.py",
    "test_pipeline.py",
    "test_sandbox_soak.py",
    "test_build_sets.py",
    "test_viewbank.py",
    "test_sandbox_ablation.py",
    "test_serve.py",
    "test_refine.py",
    "test_sandbox_layers.py",
    "test_grow.py",
    "test_pool.py",
    "test_ray_engine.py",
    "test_poses.py",
    "test_offline_data.py",
    "test_commands.py",
    "test_refine_bank.py",
    "test_pipeline_views.py",
    "test_serve_engines.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file together, for they share what takes long to make."""
    from xdist.scheduler import LoadFileScheduling

    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, begin with the long files."""
    if hasattr(config, "workerinput"):
        place = {name: k for k, name in enumerate(LONG)}
        items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Share the processes that take long to start."""
    import warm

    with warm.shared():
        yield


@pytest.fixture(scope="module")
def cold() -> Iterator[None]:
    """Let the tests of a module start processes of their own."""
    import warm

    with warm.unshared():
        yield
