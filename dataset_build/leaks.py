"""Leaks and duplicates: parts that are in a set twice, or in a set and among those that are held out.

``python -m dataset_build.leaks SET [--against HELD_OUT ...] [--alike 0.99] [--out leaks.json]``

Two parts are duplicates if their scripts are the same text, or if their signatures are near
(:mod:`dataset_build.signature`) and the solids, laid over each other, have an IoU of ``--alike`` at least. Neither pose
nor scale matters; a mirror image is another part. ``HELD_OUT`` is a set that was built here, or a folder of STEP, STL
and other solids and of CadQuery scripts, which are read and never executed.

In a build, :class:`Guard` does the same part by part (``--exclude``, ``--split-file``), and :class:`Seen` in the order
of the parts (``--drop-duplicates``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import CadCoderError, ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.read import SUFFIXES, read_solid
from cadcoder.geometry.solid import Solid
from cadcoder.program import parse
from cadcoder.program.serialize import from_json
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.signature import LENGTH, Signature, reach, same_part, signature

#: IoU from which on two parts are one.
ALIKE = 0.99
#: Within a set signatures must be this near: one shape that is written, placed or tessellated in two ways is.
NEAR = 0.15
#: Nearest parts to lay a part over at most.
MOST = 6
#: Parts after which the tree of signatures is built anew; until then the new ones are compared one by one.
TAIL = 2000


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
    partial = folder / "names.partial"
    partial.write_text(json.dumps({"names": names, "unreadable": unreadable}), encoding="utf-8")
    partial.replace(folder / "names.json")
    return HeldOut(folder)


def fingerprint(places: Sequence[Path]) -> str:
    """Return a hash of what the places hold, for the plan of a build."""
    whole = hashlib.sha256()
    for place in places:
        for path in _files(place):
            whole.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _files(place: Path) -> list[Path]:
    if not place.exists():
        raise ConfigError(f"--exclude: {place} is not there; name a folder of solids or scripts, or a set")
    if place.is_file():
        return [place]
    if (place / "meta.json").exists() and (place / "data").is_dir():
        return sorted((place / "data").glob("*.parquet"))
    return sorted(p for p in place.rglob("*") if p.suffix.lower() in (*SUFFIXES, ".py") and p.is_file())


def _parts(place: Path) -> Iterator[tuple[str, Any]]:
    """Yield (name, a function that reads or builds it) of every part in a place."""
    root = place if place.is_dir() else place.parent
    for path in _files(place):
        if path.suffix == ".parquet":
            for row, program in enumerate(_column(path, "program")):
                yield f"{path.name}:{row}", lambda program=program: build(from_json(json.loads(program)))
        elif path.suffix.lower() == ".py":
            yield str(path.relative_to(root)), lambda path=path: build(parse(_text(path)))
        else:
            yield str(path.relative_to(root)), lambda path=path: read_solid(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} cannot be read") from e


def _column(path: Path, *names: str) -> Iterator[Any]:
    """Yield what a shard's columns hold, row by row: a value, or a tuple where several are named."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(500, columns=list(names)):
        lists = [batch.column(n).to_pylist() for n in names]
        yield from lists[0] if len(names) == 1 else zip(*lists, strict=True)


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
        there = self.splits.get(part_id(name))
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


class Seen:
    """The parts of a set so far, in order: tells of each next one whether it is there already."""

    def __init__(self, alike: float = ALIKE) -> None:
        """Begin with nothing."""
        self.alike = alike
        self._scripts: dict[bytes, str] = {}
        self._names: list[str] = []
        self._programs: list[str] = []
        self._signs = np.empty((0, LENGTH), np.float32)
        self._count = 0
        self._tree: Any = None
        self._treed = 0

    def __len__(self) -> int:
        return self._count

    def add(self, name: str, code: str, program: str, sign: Signature) -> str | None:
        """Take a part in, or say in one line what it is the duplicate of.

        Args:
            name: what to call it.
            code: its script; two of one text are one part.
            program: the same as JSON.
            sign: its signature.
        """
        digest = hashlib.sha256(code.encode()).digest()[:16]
        if digest in self._scripts:
            return f"the script of {self._scripts[digest]}"
        for k in self._near(sign):
            iou = same_part(_built(program), _built(self._programs[k]), self.alike)
            if iou >= self.alike:
                return f"IoU {iou:.4f} with {self._names[k]}"
        self._keep(name, digest, program, sign)
        return None

    def restore(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Take in parts that were found to be new before: (name, code, program) of each."""
        for name, code, program in rows:
            digest = hashlib.sha256(code.encode()).digest()[:16]
            self._keep(name, digest, program, signature(_built(program)))

    def _keep(self, name: str, digest: bytes, program: str, sign: Signature) -> None:
        if self._count == len(self._signs):
            grown = np.empty((max(1024, 2 * self._count), LENGTH), np.float32)
            grown[: self._count] = self._signs[: self._count]
            self._signs = grown
        self._signs[self._count] = sign
        self._scripts[digest] = name
        self._names.append(name)
        self._programs.append(program)
        self._count += 1

    def _near(self, sign: Signature) -> list[int]:
        """Return the parts with the nearest signatures, nearest first."""
        if self._count - self._treed > TAIL + self._treed // 20:
            from scipy.spatial import cKDTree

            self._tree, self._treed = cKDTree(self._signs[: self._count]), self._count
        found = list(self._tree.query_ball_point(sign, NEAR, p=np.inf)) if self._tree is not None else []
        tail = self._signs[self._treed : self._count]
        found += (np.flatnonzero((np.abs(tail - sign) <= NEAR).all(axis=1)) + self._treed).tolist()
        if not found:
            return []
        near = np.abs(self._signs[found] - sign).max(axis=1)
        return [found[k] for k in np.lexsort((found, near))[:MOST]]


@lru_cache(maxsize=256)
def _built(program: str) -> Solid:
    return build(from_json(json.loads(program)))


def report(
    folder: Path, against: Sequence[Path] = (), alike: float = ALIKE, held: Path | None = None
) -> dict[str, Any]:
    """Return what is twice in a set, and what of it is among held-out parts.

    Args:
        folder: a built set.
        against: held-out parts, as :func:`gather` takes them.
        alike: IoU from which on two parts are one.
        held: where to keep the held-out parts as they are read; needed with ``against``.

    Raises:
        ConfigError: if something cannot be read.
    """
    files = _files(folder)
    if not files or files[0].suffix != ".parquet":
        raise ConfigError(f"{folder} is not a set that was built here; name the folder that holds meta.json")
    out = gather(against, held) if against and held is not None else None
    seen = Seen(alike)
    duplicates: list[dict[str, str]] = []
    leaked: list[dict[str, str]] = []
    count = 0
    for path in files:
        for row, (code, program) in enumerate(_column(path, "code", "program")):
            name, solid = f"{path.name}:{row}", _built(program)
            count += 1
            same = seen.add(name, code, program, signature(solid))
            if same is not None:
                duplicates.append({"part": name, "is": same})
            found = out.like(solid, alike) if out is not None else None
            if found is not None:
                leaked.append({"part": name, "is": f"IoU {found[1]:.4f} with {found[0]}"})
    exact = sum(d["is"].startswith("the script") for d in duplicates)
    return {
        "parts": count,
        "alike": alike,
        "same_script": exact,
        "same_shape": len(duplicates) - exact,
        "held_out": len(leaked),
        "held_out_parts": len(out.names) if out else 0,
        "unreadable": out.unreadable if out else [],
        "duplicates": duplicates,
        "leaked": leaked,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    import tempfile

    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dataset_build.leaks", description=description)
    parser.add_argument("set", type=Path, help="folder of a built set")
    parser.add_argument("--against", type=Path, action="append", default=[], help="held-out parts: a set or a folder")
    parser.add_argument("--alike", type=float, default=ALIKE, help=f"IoU from which on two parts are one ({ALIKE})")
    parser.add_argument("--out", type=Path, help="file for the whole report")
    a = parser.parse_args(argv)
    try:
        check_alike(a.alike)
        with tempfile.TemporaryDirectory() as folder:
            found = report(a.set, a.against, a.alike, Path(folder) / "held")
        if a.out:
            a.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except CadCoderError as e:
        sys.stderr.write(f"error: {e}\n")
        return e.exit_code
    except OSError as e:
        sys.stderr.write(f"error: {e.filename}: {e.strerror or e}\n")
        return 2
    sys.stdout.write(json.dumps({k: v for k, v in found.items() if not isinstance(v, list)}) + "\n")
    for name in found["unreadable"]:
        sys.stderr.write(f"warning: {name} cannot be read; nothing was compared with it\n")
    return 0


def check_alike(alike: float) -> None:
    """Raise ConfigError unless an IoU can be asked for."""
    if not 0.5 <= alike < 1:
        raise ConfigError(f"--alike: {alike} is not an IoU from 0.5 to just below 1")


if __name__ == "__main__":
    sys.exit(main())
