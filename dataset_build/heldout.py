"""Parts that must not be in a set: read once, kept for all worker processes, and found again in any pose and size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import CadCoderError, ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.read import SUFFIXES, read_solid
from cadcoder.geometry.solid import Solid
from cadcoder.program import parse
from cadcoder.program.serialize import from_json
from dataset_build.signature import Signature, reach, same_part, signature

#: IoU from which on two parts are one.
ALIKE = 0.99
#: Nearest parts to lay a part over at most.
MOST = 6


@dataclass(frozen=True)
class HeldOut:
    """Parts that must not be in a set, in a folder that worker processes share.

    Attributes:
        folder: made by :func:`gather`.
    """

    folder: Path

    @cached_property
    def names(self) -> list[str]:
        """Return what each part is called."""
        return list(json.loads((self.folder / "names.json").read_text(encoding="utf-8"))["names"])

    @cached_property
    def unreadable(self) -> list[str]:
        """Return the files that no part could be made of."""
        return list(json.loads((self.folder / "names.json").read_text(encoding="utf-8"))["unreadable"])

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(np.load(self.folder / "signatures.npy"))

    def solid(self, index: int) -> Solid:
        """Return a part."""
        at = np.load(self.folder / "offsets.npy")
        arrays = (np.load(self.folder / f"{n}.npy", mmap_mode="r") for n in ("vertices", "faces"))
        vertices, faces = (a[at[index, k] : at[index + 1, k]] for k, a in enumerate(arrays))
        return Solid(vertices, faces)

    def like(self, solid: Solid, alike: float) -> tuple[str, float] | None:
        """Return (name, IoU) of the held-out part that a solid is alike, or None."""
        if not self.names:
            return None
        own = signature(solid)
        found = self._tree.query_ball_point(own, reach(alike), p=np.inf)
        near = np.abs(self._tree.data[found] - own).max(axis=1) if found else []
        for k in np.argsort(near, kind="stable")[:MOST]:
            iou = same_part(solid, self.solid(found[k]), alike)
            if iou >= alike:
                return self.names[found[k]], iou
        return None


def gather(places: Sequence[Path], folder: Path) -> HeldOut:
    """Read held-out parts, once, into a folder.

    Args:
        places: sets, or folders or files of solids and scripts.
        folder: where to; left as it is where a gathering was finished there before.

    Raises:
        ConfigError: if a place is not there or holds nothing that can be read.
    """
    if (folder / "names.json").exists():
        return HeldOut(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    unreadable: list[str] = []
    signs: list[Signature] = []
    solids: list[Solid] = []
    for place in places:
        before = len(names)
        for name, made in _parts(place):
            try:
                solid = made()
                signs.append(signature(solid))
            except CadCoderError:
                unreadable.append(name)
                continue
            names.append(name)
            solids.append(solid)
        if len(names) == before:
            raise ConfigError(f"--exclude: {place} holds no solid, script or set that can be read")
    sizes = [(len(s.vertices), len(s.faces)) for s in solids]
    arrays = {
        "vertices": np.concatenate([s.vertices for s in solids]),
        "faces": np.concatenate([s.faces for s in solids]),
        "offsets": np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(sizes, axis=0)]),
        "signatures": np.stack(signs),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    begun = folder / "names.partial"
    begun.write_text(json.dumps({"names": names, "unreadable": unreadable}), encoding="utf-8")
    begun.replace(folder / "names.json")
    return HeldOut(folder)


def fingerprint(places: Sequence[Path]) -> str:
    """Return a hash of what the places hold, for the plan of a build."""
    whole = hashlib.sha256()
    for place in places:
        for path in files_of(place):
            whole.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def files_of(place: Path) -> list[Path]:
    """Return the files of a place: a set's shards, or the solids and scripts of a folder.

    Raises:
        ConfigError: if it is not there.
    """
    if not place.exists():
        raise ConfigError(f"--exclude: {place} is not there; name a folder of solids or scripts, or a set")
    if place.is_file():
        return [place]
    if (place / "meta.json").exists() and (place / "data").is_dir():
        return sorted((place / "data").glob("*.parquet"))
    return sorted(p for p in place.rglob("*") if p.suffix.lower() in (*SUFFIXES, ".py") and p.is_file())


def _parts(place: Path) -> Iterator[tuple[str, Callable[[], Solid]]]:
    """Yield (name, a function that reads or builds it) of every part in a place."""
    root = place if place.is_dir() else place.parent
    for path in files_of(place):
        if path.suffix == ".parquet":
            for row, program in enumerate(columns(path, "program")):
                yield f"{path.name}:{row}", partial(_from_row, program)
        else:
            read = _from_script if path.suffix.lower() == ".py" else read_solid
            yield str(path.relative_to(root)), partial(read, path)


def _from_row(program: str) -> Solid:
    if not program:
        raise InputError("a row without a program")
    return build(from_json(json.loads(program)))


def _from_script(path: Path) -> Solid:
    return build(parse(_text(path)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} cannot be read") from e


def columns(path: Path, *names: str) -> Iterator[Any]:
    """Yield what a shard's columns hold, row by row: a value, or a tuple where several are named."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(500, columns=list(names)):
        lists = [batch.column(n).to_pylist() for n in names]
        yield from lists[0] if len(names) == 1 else zip(*lists, strict=True)
