"""Command sequences in files, one part a file, in a folder or an archive as published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cadcoder.errors import ConfigError
from cadcoder.program.types import Program
from dataset_build.parts import Part
from dataset_build.readers import deepcad_json, deepcad_vec, fusion360
from dataset_build.readers.containers import Container, Entry, open_container, shown
from dataset_build.readers.features import Box
from dataset_build.readers.rejects import Refused, Reject


@dataclass(frozen=True, slots=True)
class Format:
    """One published format.

    Attributes:
        suffixes: of its files.
        folder: what the publisher calls the folder that holds them; where there is one, only its files are read, and
            names begin behind it, so that a folder and an archive of the same set give the same rows.
        others: names of files of the set with those suffixes that are no parts.
        read: the reader, of a file's bytes and its suffix.
    """

    suffixes: tuple[str, ...]
    folder: str
    others: frozenset[str]
    read: Callable[[bytes, str], tuple[Program, Box | None]]


FORMATS: dict[str, Format] = {
    "deepcad-json": Format(
        (".json",), "cad_json", frozenset({"train_val_test_split.json"}), lambda b, _: deepcad_json.from_bytes(b)
    ),
    "deepcad-vec": Format(
        (".h5", ".npy", ".npz"), "cad_vec", frozenset(), lambda b, suffix: (deepcad_vec.from_bytes(b, suffix), None)
    ),
    "fusion360": Format(
        (".json",), "reconstruction", frozenset({"train_test.json"}), lambda b, _: fusion360.from_bytes(b)
    ),
}


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one format.

    Attributes:
        kind: a key of :data:`FORMATS`.
        container: where they are.
        check_box: whether the box that a file states must be that of its solid.
    """

    kind: str
    container: Container
    check_box: bool

    def __len__(self) -> int:
        return len(self.container.entries)

    def name(self, index: int) -> str:
        """Return the file's path, from the publisher's folder on."""
        return shown(_behind(self.container.entries[index].name, FORMATS[self.kind].folder))

    def part(self, index: int) -> Part | Reject:
        """Read the file."""
        entry, name = self.container.entries[index], self.name(index)
        try:
            raw = self.container.read(entry)
            program, box = FORMATS[self.kind].read(raw, PurePosixPath(entry.name).suffix)
        except Refused as e:
            return e.at(name)
        return Part(program, f"{self.kind}/{name}", box=box if self.check_box else None)


def open_files(kind: str, path: Path, count: int | None, check_box: bool = True) -> Files:
    """Return the files of a format.

    Args:
        kind: a key of :data:`FORMATS`.
        path: a folder, an archive or one file.
        count: at most so many.
        check_box: see :class:`Files`.

    Raises:
        ConfigError: if there are none, or the archive cannot be read.
    """
    form = FORMATS[kind]
    found = open_container(path, lambda name: _wanted(name, form))
    entries = _below(found.entries, form.folder)
    if not entries:
        raise ConfigError(f"--input: {path} holds no file that ends in {' or '.join(form.suffixes)}")
    return Files(kind, Container(found.kind, found.path, tuple(entries[:count])), check_box)


def _wanted(name: str, form: Format) -> bool:
    return name.endswith(form.suffixes) and name.rpartition("/")[2] not in form.others


def _below(entries: Iterable[Entry], folder: str) -> list[Entry]:
    """Return the entries below the publisher's folder where there is one, else all of them."""
    listed = list(entries)
    within = [folder in e.name.split("/")[:-1] for e in listed]
    # What the listing of a damaged archive lost is told in any case.
    return [e for e, inside in zip(listed, within, strict=True) if inside or e.refused] if any(within) else listed


def _behind(name: str, folder: str) -> str:
    """Return the path behind the publisher's folder, or the whole path where that is not in it."""
    parts = name.split("/")
    return "/".join(parts[parts.index(folder) + 1 :]) if folder in parts[:-1] else name
