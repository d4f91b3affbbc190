"""Parts of a folder: pictures with the true parts beside them.

Either ``samples.jsonl`` names them (``id``, ``image`` or ``images``, ``step`` or ``truth``, perhaps ``code``; paths
relative to it), or they are matched by name: ``NAME.png`` with ``NAME.step``, ``NAME.stl``, ``NAME.py`` and so on,
anywhere below the folder. ``NAME_0.png``, ``NAME_1.png`` are pictures of the part ``NAME`` where no part is called
``NAME_0``: the first is shown, or all of them with ``views``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from cadcoder.errors import InputError
from cadcoder.pictures import SUFFIXES
from cadcoder.scoring import Truths


@dataclass(frozen=True)
class Item:
    """One part.

    Attributes:
        id: its name.
        pictures: what the model is shown.
        truth: file of the true part.
        truth_code: its script, where known.
        group: what its row is summarised with.
        turns: groups of the suite's later turns that follow the first.
    """

    id: str
    pictures: tuple[Path, ...]
    truth: Path
    truth_code: str | None = None
    group: str = ""
    turns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its row: with its group where one part has several."""
        return f"{self.id}/{self.group}" if self.turns else self.id


def read_folder(folder: Path) -> list[Item]:
    """Return the parts of a folder, by name.

    Raises:
        InputError: if there are none, or a picture has no true part.
    """
    index = folder / "samples.jsonl"
    if index.is_file():
        return _listed(index)
    pictures = (
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()) if folder.is_dir() else []
    )
    if not pictures:
        raise InputError(f"there are no pictures in {folder}")
    truths = Truths(folder)
    shown: dict[str, list[Path]] = {}
    lost = []
    for picture in pictures:
        name = _part_of(picture.stem, truths)
        if name is None:
            lost.append(picture.name)
        else:
            shown.setdefault(name, []).append(picture)
    if not shown:
        raise InputError(f"none of the {len(pictures)} pictures in {folder} has a true part (NAME.step, .stl, .py ...)")
    if lost:
        raise InputError(
            f"{len(lost)} of {len(pictures)} pictures in {folder} have no true part: {', '.join(lost[:3])}"
        )
    return [_item(name, found[0], truths) for name, found in sorted(shown.items())]


def read_benches(folder: Path) -> list[Item]:
    """Return the parts of CADBench's layout: ``*/BENCH/NAME.stl`` (or ``.step``) with ``*/BENCH/NAME.png``.

    The group is the bench, and the id ``BENCH/NAME``.

    Raises:
        InputError: if there are none.
    """
    truths: dict[tuple[str, str], Path] = {}
    items = []
    for name, paths in Truths(folder).parts.items():
        for path in paths:
            if path.suffix.lower() != ".py":
                truths.setdefault((path.parent.name, name), path)
    seen = set()
    for picture in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        names = (picture.stem, re.sub(r"_\d+$", "", picture.stem))
        found = next((n for n in names if (picture.parent.name, n) in truths), None)
        if found is not None and (picture.parent.name, found) not in seen:
            bench = picture.parent.name
            seen.add((bench, found))
            items.append(Item(f"{bench}/{found}", (picture,), truths[bench, found], group=bench))
    if not items:
        raise InputError(f"{folder} holds no BENCH/NAME.png with BENCH/NAME.stl or .step")
    return items


def _part_of(stem: str, truths: Truths) -> str | None:
    for name in (stem, re.sub(r"[_-]\d+$", "", stem)):
        if name in truths.parts:
            return name
    return None


def _item(name: str, picture: Path, truths: Truths) -> Item:
    truth = truths.parts[name][0]
    return Item(name, (picture,), truth, truths.program(name, truth))


def _listed(index: Path) -> list[Item]:
    items = []
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{index} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            shown = row.get("images") or [row["image"]]
            truth = index.parent / (row.get("step") or row["truth"])
            item = Item(str(row["id"]), tuple(index.parent / p for p in shown), truth, row.get("code"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{index}:{number} needs id, image (or images) and step (or truth): {error}") from None
        missing = [p for p in (*item.pictures, item.truth) if not p.is_file()]
        if missing:
            raise InputError(f"{index}:{number}: there is no {missing[0]}")
        items.append(item)
    if not items:
        raise InputError(f"{index} holds no rows")
    return items
