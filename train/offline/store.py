"""All meshes and scripts of a set on the device, gathered there by number: no sample is copied from the host."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cadcoder.errors import ConfigError
from cadcoder.render.raster_mesh import Meshes, Packed, spread
from train.offline.meshes import shard_files

Array = np.ndarray[Any, Any]
Encode = Callable[[list[str]], list[list[int]]]


class Store:
    """The parts of finished shards, in the order in which the shards were taken."""

    def __init__(
        self,
        folder: Path,
        encode: Encode,
        max_tokens: int,
        eos: int,
        device: torch.device,
        order: Path | None = None,
    ) -> None:
        """Take nothing yet.

        Args:
            folder: of the shards.
            encode: scripts to token ids.
            max_tokens: parts with longer scripts are left out.
            eos: id that ends a script.
            device: where all of it goes.
            order: file that keeps the order in which shards were taken, so that a run that is resumed finds its parts
                under the same numbers; None keeps it in memory.
        """
        self.order = order
        self.folder, self.encode, self.max_tokens, self.eos, self.device = folder, encode, max_tokens, eos, device
        self.names: list[str] = []
        self._read: dict[str, Future[tuple[Packed, Array, Array]]] = {}
        self._reader = ThreadPoolExecutor(4)
        self.meshes: Meshes | None = None
        self.ids = torch.empty(0, dtype=torch.int32, device=device)
        self.offsets = torch.zeros(1, dtype=torch.int64, device=device)
        self.lengths = np.empty(0, np.int64)
        #: The numbers of the parts, in the meshes, whose scripts are short enough; parts of each shard.
        self.usable = np.empty(0, np.int64)
        self.counts: list[int] = []

    def __len__(self) -> int:
        return len(self.lengths)

    def prefetch(self) -> None:
        """Begin to read, in the background, the shards that have been finished since."""
        for path in shard_files(self.folder):
            if path.name not in self._read and path.name not in self.names:
                self._read[path.name] = self._reader.submit(self._prepare, path)

    def refresh(self, names: list[str] | None = None) -> list[str]:
        """Take the shards that are read by now, or exactly those named; return the names of all taken, in that order.

        The first time, all that are finished are waited for.
        """
        self.prefetch()
        if names is None:
            known = json.loads(self.order.read_text()) if self.order and self.order.exists() else []
            later = [n for n in sorted(self._read) if n not in known]
            names = [*known, *(n for n in later if not self.names or self._read[n].done())]
        pieces: list[Meshes] = [self.meshes] if self.meshes is not None else []
        ids, lengths = [self.ids], [self.lengths]
        for name in [n for n in names if n not in self.names]:
            if name not in self._read:
                raise ConfigError(f"data.shards: {name} is gone from {self.folder}; the run began with it")
            flat, tokens, counts = self._read.pop(name).result()
            self.names.append(name)
            self.counts.append(len(counts))
            if len(counts):
                pieces.append(Meshes.load(flat, self.device))
                ids.append(torch.from_numpy(tokens).to(self.device))
                lengths.append(counts)
        if len(ids) > 1:
            self.meshes = join(pieces)
            self.ids = torch.cat(ids)
            self.lengths = np.concatenate(lengths)
            self.offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(self.lengths)])).to(self.device)
            self.usable = np.flatnonzero(self.lengths <= self.max_tokens + 1)
            if self.order:
                partial = self.order.with_suffix(".partial")
                partial.write_text(json.dumps(self.names))
                os.replace(partial, self.order)
        return list(self.names)

    def _prepare(self, path: Path) -> tuple[Packed, Array, Array]:
        """Return a shard's arrays, its tokens one after the other, and how many each script has."""
        with np.load(path) as arrays:
            flat = {k: arrays[k] for k in arrays.files}
        tokens = [[*t, self.eos] for t in self.encode(_scripts(flat))]
        joined = np.fromiter(itertools.chain.from_iterable(tokens), np.int32)
        for name in ("faces", "edges", "bends"):
            flat[name] = flat[name].astype(np.int32)
        return flat, joined, np.array([len(t) for t in tokens], np.int64)

    def take(self, rows: Array, views: int = 1) -> Meshes:
        """Return the meshes of parts, each ``views`` times in a row."""
        assert self.meshes is not None
        numbers = torch.from_numpy(np.repeat(np.asarray(rows, np.int64), views)).to(self.device)
        return self.meshes.take(numbers)

    def scripts(self, rows: Array, width: int, pad: int) -> torch.Tensor:
        """Return the ids (N, width) of parts' scripts, each with its end, then padding."""
        numbers = torch.from_numpy(np.asarray(rows, np.int64)).to(self.device)
        owner, step = spread((self.offsets[1:] - self.offsets[:-1])[numbers])
        out = torch.full((len(rows), width), pad, dtype=torch.int64, device=self.device)
        out[owner, step] = self.ids[self.offsets[numbers][owner] + step].long()
        return out


def read_scripts(folder: Path, count: int) -> list[str]:
    """Return the first scripts of a set."""
    texts: list[str] = []
    for path in shard_files(folder):
        with np.load(path) as arrays:
            texts += _scripts({k: arrays[k] for k in ("code", "code_offsets")})
        if len(texts) >= count:
            break
    return texts[:count]


def join(pieces: list[Meshes]) -> Meshes:
    """Return the parts of several as one."""
    if len(pieces) == 1:
        return pieces[0]
    joined: dict[str, torch.Tensor] = {}
    for field in fields(Meshes):
        parts = [getattr(p, field.name) for p in pieces]
        if field.name.endswith("_offsets"):
            shifts = np.cumsum([0, *(int(p[-1]) for p in parts)])
            moved = [p[1:] + int(s) for p, s in zip(parts, shifts, strict=False)]
            parts = [torch.zeros_like(parts[0][:1]), *moved]
        joined[field.name] = torch.cat(parts)
    return Meshes(**joined)


def _scripts(flat: Packed) -> list[str]:
    text, ends = flat["code"].tobytes(), flat["code_offsets"].tolist()
    return [text[a:b].decode() for a, b in zip(ends, ends[1:], strict=False)]
