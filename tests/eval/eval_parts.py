"""A small suite of real files, and a server that misbehaves, for the tests of the benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eval.rehearsal import Rehearsal

KEY = "sk-test-4f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c"
BOX = 'import cadquery as cq\nresult = cq.Workplane("XY").box({}, {}, {})\n'


def write_suite(folder: Path, count: int = 4) -> Path:
    """Write pictures with boxes of different proportions as their true parts."""
    from PIL import Image

    folder.mkdir(parents=True)
    for i in range(count):
        picture = Image.new("RGB", (64, 64), "white")
        picture.paste((90, 90, 90), (10 + i, 14, 54, 50))
        picture.save(folder / f"part{i}_0.png")
        (folder / f"part{i}.py").write_text(BOX.format(10 + 10 * i, 20, 30))
    return folder


@contextmanager
def keys(monkeypatch: pytest.MonkeyPatch, value: str = KEY) -> Iterator[None]:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, value)
    yield


def spec_text(provider: str, house: Rehearsal, *options: str) -> str:
    """Return the ``--model`` of a provider whose address is the rehearsal's."""
    names = {
        "openai": "openai:gpt-4o",
        "anthropic": "anthropic:claude-sonnet-4-5",
        "gemini": "gemini:gemini-2.5-flash",
        "openrouter": "openrouter:qwen/qwen2.5-vl-72b-instruct",
    }
    if provider == "server":
        return ",".join([f"{house.url}/v1", *options])
    path = "/v1" if provider in ("openai", "openrouter") else ""
    return ",".join([names[provider], f"base_url={house.url}{path}", *options])


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
