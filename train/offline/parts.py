"""Files cut into parts for a narrow way out, and put together again; a torn transfer is noticed.

``OUT/parts.json`` names every file with its size and SHA-256, and its parts with theirs. Names hold letters, digits,
dots, underscores and hyphens alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError

INDEX = "parts.json"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def split(files: list[Path], out: Path, part_size: int) -> list[Path]:
    """Write the parts of files into a folder; return all that was written, the index last.

    Args:
        files: with different names.
        out: the folder; the parts of an earlier time are removed.
        part_size: most bytes of a part.

    Raises:
        InputError: if a name is not safe or occurs twice.
    """
    names = [f.name for f in files]
    faulty = [n for n in names if not _NAME.fullmatch(n)] + [n for n in set(names) if names.count(n) > 1]
    if faulty or part_size < 1:
        raise InputError(f"these cannot be cut into parts: {', '.join(faulty) or f'parts of {part_size} bytes'}")
    out.mkdir(parents=True, exist_ok=True)
    if (out / INDEX).is_file():
        for entry in json.loads((out / INDEX).read_text()).values():
            for part in entry["parts"]:
                (out / part["name"]).unlink(missing_ok=True)
    index: dict[str, Any] = {}
    written = []
    for file in files:
        data = file.read_bytes()
        pieces = [data[i : i + part_size] for i in range(0, len(data), part_size)] or [b""]
        parts = []
        for k, piece in enumerate(pieces):
            name = file.name if len(pieces) == 1 else f"{file.name}.{k:02d}"
            (out / name).write_bytes(piece)
            written.append(out / name)
            parts.append({"name": name, "size": len(piece), "sha256": _digest(piece)})
        index[file.name] = {"size": len(data), "sha256": _digest(data), "parts": parts}
    (out / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    return [*written, out / INDEX]


def join(folders: list[Path], out: Path) -> list[Path]:
    """Put files together from parts that lie in one folder or in several; return them.

    Raises:
        InputError: if there is no index, or parts are missing or torn; every one is named.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    for folder in folders:
        if (folder / INDEX).is_file():
            found += json.loads((folder / INDEX).read_text()).items()
    if not found:
        raise InputError(f"no {INDEX} in {', '.join(map(str, folders))}; fetch it with the parts")
    out.mkdir(parents=True, exist_ok=True)
    faults, made = [], []
    for name, entry in found:
        pieces = []
        for part in entry["parts"]:
            held = [(d / part["name"]).read_bytes() for d in folders if (d / part["name"]).is_file()]
            good = [h for h in held if len(h) == part["size"] and _digest(h) == part["sha256"]]
            if not good:
                faults.append(f"{part['name']} is {'torn' if held else 'missing'}")
            pieces.append(good[0] if good else b"")
        data = b"".join(pieces)
        if not faults and _digest(data) == entry["sha256"]:
            (out / name).write_bytes(data)
            made.append(out / name)
    if faults:
        raise InputError(f"{'; '.join(faults)}: fetch again")
    return made


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
