"""Where a build takes its parts from: the synthesiser, or files through a reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cadcoder.errors import CadCoderError, ConfigError
from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Program
from dataset_build.readers import deepcad_json, deepcad_vec
from dataset_build.readers.deepcad_json import Box
from dataset_build.readers.rejects import Reason, Reject

KINDS = ("synthetic", "deepcad-json", "deepcad-vec")
#: Builds with seeds s and s + 1 share no sample: sample i of seed s is drawn from s * SEED_STRIDE + i.
SEED_STRIDE = 10**9


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it was read or drawn.

    Attributes:
        program: in the unit of its source.
        source: for the column of that name.
        seed: what the synthesiser was given; -1 for real parts.
        box: what the source says the part's box is, where it says so.
        synthetic: whether it is in canonical form and on a grid already.
        solid: what the program builds, where that is known already.
    """

    program: Program
    source: str
    seed: int = -1
    box: Box | None = None
    synthetic: bool = False
    solid: Solid | None = field(default=None, compare=False, repr=False)


class Source(Protocol):
    """A numbered set of parts; it is sent to the workers, which ask for the parts by number."""

    def __len__(self) -> int:
        """Return how many parts there are."""
        ...

    def name(self, index: int) -> str:
        """Return what a reject calls part ``index``."""
        ...

    def part(self, index: int) -> Part | Reject:
        """Return part ``index``; never raises for what the source holds."""
        ...


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Parts drawn from the synthesiser."""

    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Return the seed that the part is drawn from."""
        return f"seed {self.seed * SEED_STRIDE + index}"

    def part(self, index: int) -> Part | Reject:
        """Draw the part."""
        from dataset_build.synth import sample_solid

        seed = self.seed * SEED_STRIDE + index
        try:
            program, solid = sample_solid(seed)
            return Part(program, "synthetic", seed, synthetic=True, solid=solid)
        except CadCoderError as e:
            return Reject(Reason.BUILD_FAILED, self.name(index), "", str(e))


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one format under a folder, in the order of their paths.

    Attributes:
        kind: ``deepcad-json`` or ``deepcad-vec``.
        root: the folder.
        paths: relative to it.
        check_box: whether the box that a file states must be that of its solid.
    """

    kind: str
    root: str
    paths: tuple[str, ...]
    check_box: bool

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the file's path within the folder."""
        return self.paths[index]

    def part(self, index: int) -> Part | Reject:
        """Read the file."""
        path, source = Path(self.root) / self.paths[index], f"{self.kind}/{self.paths[index]}"
        if self.kind == "deepcad-vec":
            found = deepcad_vec.read(path)
            return self._renamed(found, index) if isinstance(found, Reject) else Part(found, source)
        both = deepcad_json.read_with_box(path)
        if isinstance(both, Reject):
            return self._renamed(both, index)
        return Part(both[0], source, box=both[1] if self.check_box else None)

    def _renamed(self, reject: Reject, index: int) -> Reject:
        return Reject(reject.reason, self.paths[index], reject.place, reject.detail)


def find(kind: str, folder: Path | None, count: int | None, seed: int, check_box: bool = True) -> Source:
    """Return the source of a build.

    Raises:
        ConfigError: with every fault of the arguments.
    """
    faults = []
    if kind not in KINDS:
        faults.append(f"--source: {kind!r} is not one of {', '.join(KINDS)}")
    if count is not None and not 0 < count <= SEED_STRIDE:
        faults.append(f"--count: {count} is not between 1 and {SEED_STRIDE}")
    if not 0 <= seed < 9 * SEED_STRIDE:
        faults.append(f"--seed: {seed} is not between 0 and {9 * SEED_STRIDE}")
    if kind == "synthetic":
        if count is None:
            faults.append("--count: say how many parts to draw")
        if folder is not None:
            faults.append("--input: the synthesiser reads no files; leave it out")
    elif kind in KINDS and (folder is None or not folder.exists()):
        faults.append(f"--input: {folder or 'the folder of the files'} is not there; name a folder or a file")
    if faults:
        raise ConfigError("; ".join(faults))
    if kind == "synthetic":
        assert count is not None
        return Synthetic(count, seed)
    assert folder is not None
    suffixes = {".json"} if kind == "deepcad-json" else {".h5", ".npy", ".npz"}
    if folder.is_file():
        root, paths = folder.parent, [folder.name]
    else:
        found = (p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file())
        root, paths = folder, sorted(p.relative_to(folder).as_posix() for p in found)
    if not paths:
        raise ConfigError(f"--input: {folder} holds no file that ends in {' or '.join(sorted(suffixes))}")
    return Files(kind, str(root.resolve()), tuple(paths[:count]), check_box)
