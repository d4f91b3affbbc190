"""Leaks and duplicates: parts that are in a set twice, or in a set and among those that are held out.

``python -m dataset_build.leaks SET [--against HELD_OUT ...] [--alike 0.99] [--out leaks.json]``

Two parts are duplicates if their scripts are the same text, or if their signatures are near
(:mod:`dataset_build.signature`) and the solids, laid over each other, have an IoU of ``--alike`` at least. Neither pose
nor scale matters; a mirror image is another part. ``HELD_OUT`` is a set that was built here, or a folder of STEP, STL
and other solids and of CadQuery scripts, which are read and never executed.

A build does the same as it goes (:mod:`dataset_build.guard`). Within a set only parts with very near signatures are
laid over each other (:data:`NEAR`), so that a set of 100,000 takes minutes; against held-out parts all that can be
alike are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program.serialize import from_json
from dataset_build.command import told
from dataset_build.guard import Guard, Watch
from dataset_build.heldout import ALIKE, MOST, HeldOut, columns, files_of, gather
from dataset_build.readers.rejects import Reason, Reject
from dataset_build.shards import Sample
from dataset_build.signature import EXACT, LENGTH, Signature, same_part, signature

#: Within a set the exact numbers of signatures must be this near: those of one shape that is written, placed or
#: tessellated in two ways are.
NEAR = 0.15
#: Parts after which the tree of signatures is built anew; until then the new ones are compared one by one.
TAIL = 2000


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

    def add(self, name: str, code: str, program: str, sign: Signature | None) -> str | None:
        """Take a part in, or say in one line what it is the duplicate of.

        Args:
            name: what to call it.
            code: its script; two of one text are one part.
            program: the same as JSON; nothing where a script is no program, and only its text can be compared.
            sign: its signature, None where there is no program.
        """
        digest = hashlib.sha256(code.encode()).digest()[:16]
        if digest in self._scripts:
            return f"the script of {self._scripts[digest]}"
        sign = sign if program else None  # what cannot be built again cannot be compared
        for k in self._near(sign) if sign is not None else []:
            iou = same_part(_built(program), _built(self._programs[k]), self.alike)
            if iou >= self.alike:
                return f"IoU {iou:.4f} with {self._names[k]}"
        self._keep(name, digest, program, sign)
        return None

    def restore(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Take in parts that were found to be new before: (name, code, program) of each."""
        for name, code, program in rows:
            digest = hashlib.sha256(code.encode()).digest()[:16]
            self._keep(name, digest, program, sign_of(program))

    def _keep(self, name: str, digest: bytes, program: str, sign: Signature | None) -> None:
        if self._count == len(self._signs):
            grown = np.empty((max(1024, 2 * self._count), LENGTH), np.float32)
            grown[: self._count] = self._signs[: self._count]
            self._signs = grown
        self._signs[self._count] = np.inf if sign is None else sign
        self._scripts[digest] = name
        self._names.append(name)
        self._programs.append(program)
        self._count += 1

    def _near(self, sign: Signature) -> list[int]:
        """Return the parts with the nearest signatures, nearest first."""
        if self._count - self._treed > TAIL + self._treed // 20:
            from scipy.spatial import cKDTree

            # What has no signature is put where nothing comes near it.
            known = np.nan_to_num(self._signs[: self._count, :EXACT], posinf=1e6)
            self._tree, self._treed = cKDTree(known), self._count
        found = list(self._tree.query_ball_point(sign[:EXACT], NEAR, p=np.inf)) if self._tree is not None else []
        tail = self._signs[self._treed : self._count, :EXACT]
        found += (np.flatnonzero((np.abs(tail - sign[:EXACT]) <= NEAR).all(axis=1)) + self._treed).tolist()
        found = [k for k in found if np.abs(self._signs[k] - sign).max() <= 1]
        if not found:
            return []
        near = np.abs(self._signs[found, :EXACT] - sign[:EXACT]).max(axis=1)
        return [found[k] for k in np.lexsort((found, near))[:MOST]]


class Kept:
    """Drops duplicates from a set that is being built, also where a build goes on after a stop."""

    def __init__(self, alike: float) -> None:
        """Begin with nothing."""
        self._seen = Seen(alike)
        self._next = 0

    def enter(self, shard: int, path: Callable[[int], Path]) -> None:
        """Read the finished shards before the one whose samples come next; shards come in order.

        Args:
            shard: number of the next one.
            path: path by number.
        """
        for k in range(self._next, shard):
            rows = columns(path(k), "code", "program", "source", "seed")
            self._seen.restore((_name(source, seed), code, program) for code, program, source, seed in rows)
        self._next = max(self._next, shard + 1)

    def checked(self, sample: Sample, name: str) -> Sample | Reject:
        """Return the sample, or the reject that it becomes if it is in the set already.

        Args:
            sample: with its signature.
            name: what a reject calls it.
        """
        same = self._seen.add(_name(sample.source, sample.seed), sample.code, sample.program, sample.sign)
        return sample if same is None else Reject(Reason.DUPLICATE, name, "", same)


def _name(source: str, seed: int) -> str:
    return source if seed < 0 else f"{source} {seed}"


def left_out(rejects: Iterable[Reject], guard: Guard) -> dict[str, Any]:
    """Return what was kept out of a set, for its ``leaks.json``."""
    reasons = (Reason.OTHER_SPLIT, Reason.HELD_OUT, Reason.DUPLICATE)
    found: dict[str, list[dict[str, str]]] = {r.value: [] for r in reasons}
    for reject in rejects:
        if reject.reason in reasons:
            found[reject.reason.value].append({"part": reject.file, "is": reject.detail})
    return {
        "alike": guard.alike,
        "held_out_parts": len(guard.held.names) if guard.held else 0,
        "unreadable": guard.held.unreadable if guard.held else [],
        "counts": {name: len(rows) for name, rows in found.items()},
        **found,
    }


def sign_of(program: str) -> Signature | None:
    """Return the signature of a program as a set holds it; None where there is none."""
    return signature(_built(program)) if program else None


@lru_cache(maxsize=256)
def _built(program: str) -> Solid:
    return build(from_json(json.loads(program)))


def report(
    folder: Path, against: Sequence[Path] = (), alike: float = ALIKE, held: Path | None = None, workers: int = 1
) -> dict[str, Any]:
    """Return what is twice in a set, and what of it is among held-out parts.

    Args:
        folder: a built set.
        against: held-out parts, as :func:`dataset_build.heldout.gather` takes them.
        alike: IoU from which on two parts are one.
        held: where to keep the held-out parts as they are read; needed with ``against``.
        workers: processes that work out signatures and compare with held-out parts.

    Raises:
        ConfigError: if something cannot be read.
    """
    files = files_of(folder)
    if not files or files[0].suffix != ".parquet":
        raise ConfigError(f"{folder} is not a set that was built here; name the folder that holds meta.json")
    out = gather(against, held) if against and held is not None else None
    seen = Seen(alike)
    duplicates: list[dict[str, str]] = []
    leaked: list[dict[str, str]] = []
    count = unseen = 0
    for path, looked in zip(files, _looked(files, out, alike, workers), strict=True):
        rows = columns(path, "code", "program")
        for row, ((code, program), (sign, found)) in enumerate(zip(rows, looked, strict=True)):
            name = f"{path.name}:{row}"
            count += 1
            unseen += not program
            same = seen.add(name, code, program, sign)
            if same is not None:
                duplicates.append({"part": name, "is": same})
            if found is not None:
                leaked.append({"part": name, "is": f"IoU {found[1]:.4f} with {found[0]}"})
    exact = sum(d["is"].startswith("the script") for d in duplicates)
    return {
        "parts": count,
        "without_program": unseen,
        "alike": alike,
        "same_script": exact,
        "same_shape": len(duplicates) - exact,
        "held_out": len(leaked),
        "held_out_parts": len(out.names) if out else 0,
        "unreadable": out.unreadable if out else [],
        "duplicates": duplicates,
        "leaked": leaked,
    }


Look = tuple[Signature | None, tuple[str, float] | None]


def _look(path: Path, out: HeldOut | None, alike: float) -> list[Look]:
    """Return, of each part of a shard, its signature and the held-out part that it is alike."""
    rows: list[Look] = []
    for program in columns(path, "program"):
        found = out.like(_built(program), alike) if out is not None and program else None
        rows.append((sign_of(program), found))
    return rows


def _looked(files: Sequence[Path], out: HeldOut | None, alike: float, workers: int) -> Iterator[list[Look]]:
    """Yield what :func:`_look` finds, in the order of the files."""
    if workers == 1:
        yield from (_look(path, out, alike) for path in files)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_look, files, repeat(out), repeat(alike))


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    import tempfile

    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dataset_build.leaks", description=description)
    parser.add_argument("set", type=Path, help="folder of a built set")
    parser.add_argument("--against", type=Path, action="append", default=[], help="held-out parts: a set or a folder")
    parser.add_argument("--alike", type=float, default=ALIKE, help=f"IoU from which on two parts are one ({ALIKE})")
    parser.add_argument("--out", type=Path, help="file for the whole report")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes (all cores)")
    a = parser.parse_args(argv)
    Watch(tuple(a.against), a.alike).check()
    with tempfile.TemporaryDirectory() as folder:
        found = report(a.set, a.against, a.alike, Path(folder) / "held", max(1, a.workers))
    if a.out:
        a.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({k: v for k, v in found.items() if not isinstance(v, list)}) + "\n")
    for name in found["unreadable"]:
        sys.stderr.write(f"warning: {name} cannot be read; nothing was compared with it\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
