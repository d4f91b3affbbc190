"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from cadcoder.errors import InputError


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file beside its place and then move it there, so that a run killed at any point leaves no half file.

    Devices and pipes, which cannot be replaced, are written to directly.

    Raises:
        InputError: if it cannot be written; the text names the path and the reason.
    """
    target = Path(path)
    check_writable(target)
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    target = target.resolve()  # a link stays a link
    beside = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
        os.replace(beside, target)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Say early that a file cannot be written, before the work that it is for.

    Raises:
        InputError: if it is a folder, or its folder is missing or closed to us.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not target.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {target.parent}")
    place = target if target.exists() else target.parent
    if not os.access(place, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission")
