"""Where a build takes its parts from: the synthesiser, files through a reader, or a mix of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cadcoder.errors import CadCoderError, ConfigError
from dataset_build import featured
from dataset_build.files import FORMATS, open_files
from dataset_build.mix import Mix, counts_of
from dataset_build.parts import Part, Source
from dataset_build.readers.rejects import Reason, Reject
from dataset_build.scripts import open_scripts
from dataset_build.tables import SPLITS, open_tables

__all__ = ["KINDS", "SEED_STRIDE", "Options", "Part", "Source", "Synthetic", "find", "find_mix"]

#: Kinds that are drawn from a seed and read no files.
DRAWN = ("synthetic", featured.KIND)
KINDS = (*DRAWN, *FORMATS, "scripts", "gencad-code")
#: Builds with seeds s and s + 1 share no sample: sample i of seed s is drawn from s * SEED_STRIDE + i.
SEED_STRIDE = 10**9


@dataclass(frozen=True, slots=True)
class Options:
    """What can be said of how sources are read.

    Attributes:
        check_box: whether the box that a file states must be that of its solid.
        columns: of a table, where they are not named as published.
        split: which files of a table to read, where they are named by their split.
        keep_pictures: whether a source's own pictures take the place of drawings.
        step_iou: what a script's solid must reach against the STEP beside it.
    """

    check_box: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str = "train"
    keep_pictures: bool = False
    step_iou: float = 0.999


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


def find(
    kind: str, path: Path | None, count: int | None, seed: int, check_box: bool = True, options: Options | None = None
) -> Source:
    """Return the source of a build.

    Args:
        kind: one of :data:`KINDS`.
        path: of the input; None for what is drawn.
        count: parts to draw; of a real source, at most so many.
        seed: of the synthesiser.
        check_box: as in :class:`Options`, where none are given.
        options: how to read.

    Raises:
        ConfigError: with every fault of the arguments.
    """
    options = options or Options(check_box)
    faults = _faults(kind, count, seed, options)
    if kind in DRAWN:
        if count is None:
            faults.append("--count: say how many parts to draw")
        if path is not None:
            faults.append("--input: the synthesiser reads no files; leave it out")
    elif kind in KINDS and (path is None or not path.exists()):
        faults.append(f"--input: {path or 'the folder of the files'} is not there; name a folder, an archive or a file")
    if faults:
        raise ConfigError("; ".join(faults))
    if kind in DRAWN:
        assert count is not None
        return _drawn(kind, count, seed)
    assert path is not None
    return _opened(kind, path, count, options)


def find_mix(
    shares: Mapping[str, float], inputs: Mapping[str, Path], count: int | None, seed: int, options: Options
) -> Mix:
    """Return several sources as one.

    Args:
        shares: of each kind of source, of 1.
        inputs: where each kind of real source is.
        count: parts in all; None for as many as the real sources reach for.
        seed: of the synthesiser, and of which parts of a real source are taken.
        options: how to read.

    Raises:
        ConfigError: with every fault of the arguments, or if a source holds fewer parts than its share asks for.
    """
    faults = [f for kind in shares for f in _faults(kind, count, seed, options)]
    if len(shares) < 2 or not all(0 < s < 1 for s in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        faults.append("--mix: name two sources or more whose shares are above 0 and add up to 1")
    for kind in shares:
        if kind in KINDS and kind not in DRAWN and not (kind in inputs and inputs[kind].exists()):
            faults.append(f"--input: say where {kind} is: --input {kind}=PATH")
    faults += [f"--input: {kind} is not in --mix" for kind in inputs if kind not in shares]
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    opened: dict[str, Source] = {k: _opened(k, inputs[k], None, options) for k in shares if k not in DRAWN}
    if count is None:
        if not opened:
            raise ConfigError("--count: say how many parts to draw")
        count = min(int(len(source) / shares[kind] + 1e-9) for kind, source in opened.items())
    counts = counts_of(count, list(shares.values()))
    short = [
        f"--count: {kind} holds {len(opened[kind])} parts, and its share of {count} is {wanted}"
        for kind, wanted in zip(shares, counts, strict=True)
        if kind in opened and len(opened[kind]) < wanted
    ]
    if short:
        raise ConfigError("; ".join(short))
    members = [opened[k] if k in opened else _drawn(k, n, seed) for k, n in zip(shares, counts, strict=True)]
    return Mix.of(members, counts, seed)


def _drawn(kind: str, count: int, seed: int) -> Source:
    if kind == featured.KIND:
        return featured.Featured(count, seed * SEED_STRIDE)
    return Synthetic(count, seed)


def _opened(kind: str, path: Path, count: int | None, options: Options) -> Source:
    if kind == "scripts":
        return open_scripts(path, count, options.keep_pictures, options.step_iou)
    if kind == "gencad-code":
        return open_tables(path, count, dict(options.columns), options.split, options.keep_pictures)
    return open_files(kind, path, count, options.check_box)


def _faults(kind: str, count: int | None, seed: int, options: Options) -> list[str]:
    faults = []
    if kind not in KINDS:
        faults.append(f"--source: {kind!r} is not one of {', '.join(KINDS)}")
    if count is not None and not 0 < count <= SEED_STRIDE:
        faults.append(f"--count: {count} is not between 1 and {SEED_STRIDE}")
    if not 0 <= seed < 9 * SEED_STRIDE:
        faults.append(f"--seed: {seed} is not between 0 and {9 * SEED_STRIDE}")
    if options.split not in SPLITS:
        faults.append(f"--split: {options.split!r} is not one of {', '.join(SPLITS)}")
    if not 0 < options.step_iou <= 1:
        faults.append(f"--step-iou: {options.step_iou} is not above 0 and at most 1")
    return faults
