"""Answers kept by their content: what was paid for once is never asked again.

A file an answer, ``FOLDER/ab/abcdef....json``, written whole and synced to the disk before anything is done with the
answer. So a run that is killed at any point finds everything that had come.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError


class Cache:
    """Answers in a folder; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Open or make the folder.

        Raises:
            InputError: if it cannot be written.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror or error}") from None

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return what is kept under a key; None where there is nothing, or half a file of another tool's."""
        try:
            found = json.loads(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer.

        Raises:
            InputError: if it cannot be written.
        """
        path = self._path(key)
        beside = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            with open(beside, "w", encoding="utf-8") as file:
                json.dump(answer, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield all answers."""
        for path in sorted(self.folder.glob("??/*.json")):
            found = self.get(path.stem)
            if found is not None:
                yield found
