"""What keeps parts out of a set while it is built: held-out parts, other splits, and parts that are there already."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError, InputError
from cadcoder.geometry.solid import Solid
from dataset_build.heldout import ALIKE, HeldOut, fingerprint, gather
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.signature import Signature, signature

#: The ids of DeepCAD's parts.
_ID = re.compile(r"\d{4}/\d{8}")


@dataclass(frozen=True)
class Watch:
    """What a build was told to keep out.

    Attributes:
        exclude: held-out parts, as :func:`dataset_build.heldout.gather` takes them.
        alike: IoU from which on two parts are one.
        split_file: DeepCAD's ``train_val_test_split.json``.
        split: the split of it that is wanted.
        unique: whether duplicates within the set are dropped.
    """

    exclude: tuple[Path, ...] = ()
    alike: float = ALIKE
    split_file: Path | None = None
    split: str | None = None
    unique: bool = False

    def __bool__(self) -> bool:
        return bool(self.exclude or self.split_file or self.unique)

    def check(self) -> None:
        """Raise ConfigError with every fault of the values."""
        faults = []
        if not 0.5 <= self.alike < 1:
            faults.append(f"--alike: {self.alike} is not an IoU from 0.5 to just below 1")
        if (self.split_file is None) != (self.split is None):
            faults.append("--split-file and --split belong together: name the file and the split to take from it")
        faults += [f"--exclude: {p} is not there" for p in self.exclude if not p.exists()]
        if faults:
            raise ConfigError("; ".join(faults))

    def plan(self) -> dict[str, Any]:
        """Return what decides a set's content, for its ``meta.json``; nothing where nothing is kept out."""
        self.check()
        plan: dict[str, Any] = {}
        if self.exclude:
            plan["exclude"] = fingerprint(self.exclude)
        if self.split_file is not None and self.split is not None:
            read_splits(self.split_file, self.split)
            plan |= {"split": self.split, "split_file": hashlib.sha256(self.split_file.read_bytes()).hexdigest()}
        if self.unique:
            plan["unique"] = True
        return plan | ({"alike": self.alike} if self.exclude or self.unique else {})

    def guard(self, folder: Path) -> Guard:
        """Return what the workers need; held-out parts are read into ``folder``."""
        held = gather(self.exclude, folder) if self.exclude else None
        splits = read_splits(self.split_file, self.split) if self.split_file and self.split else {}
        return Guard(held, self.alike, splits, self.split, self.unique)


@dataclass(frozen=True)
class Guard:
    """What keeps parts out of a set one by one; sent to the workers.

    Attributes:
        held: parts that must not be in it.
        alike: IoU from which on a part is one of them.
        splits: split by a part's id, as :func:`read_splits` gives them.
        split: the split that is wanted.
        sign: whether samples get a signature, for :class:`Seen`.
    """

    held: HeldOut | None = None
    alike: float = ALIKE
    splits: dict[str, str] = field(default_factory=dict)
    split: str | None = None
    sign: bool = False

    def before(self, name: str) -> Reject | None:
        """Return why a part of this name is not even read, or None."""
        if self.split is None:
            return None
        own = part_id(name)
        if not _ID.fullmatch(own):
            return None  # not one of DeepCAD's: a synthetic part of a mix
        there = self.splits.get(own)
        if there == self.split:
            return None
        return Reject(Reason.OTHER_SPLIT, name, "", f"is in {there}" if there else "is in no split")

    def check(self, solid: Solid) -> Signature | None:
        """Return the solid's signature where one is wanted.

        Raises:
            Refused: ``HELD_OUT``.
        """
        try:
            found = self.held.like(solid, self.alike) if self.held else None
            if found is not None:
                raise Refused(Reason.HELD_OUT, "", f"IoU {found[1]:.4f} with {found[0]}")
            return signature(solid) if self.sign else None
        except InputError as e:
            raise Refused(Reason.BUILD_FAILED, "", str(e)) from e


def part_id(name: str) -> str:
    """Return the id that DeepCAD's split file has for a file: ``cad_json/0006/00061234.json`` is ``0006/00061234``."""
    path = Path(name)
    return f"{path.parent.name}/{path.stem}"


def read_splits(path: Path, split: str) -> dict[str, str]:
    """Return split by id of a ``train_val_test_split.json``: lists of ids by split (DeepCAD, Wu et al., 2021).

    Raises:
        ConfigError: if it is no such file, or has no split of that name.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = {part_id(str(i)): str(name) for name, ids in data.items() for i in ids}
    except (OSError, ValueError, AttributeError, TypeError) as e:
        raise ConfigError(f"--split-file: {path} is not a file of lists of ids by split") from e
    if split not in data:
        raise ConfigError(f"--split: {path} has {', '.join(sorted(data))}, not {split!r}")
    return found
