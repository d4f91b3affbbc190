"""All meshes and scripts of a set on the device, gathered there by number: no sample is copied from the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cadcoder.render.raster_mesh import Meshes, spread
from train.offline.meshes import shard_files

Encode = Callable[[list[str]], list[list[int]]]


class Store:
    """The parts of finished shards, in the order in which the shards were taken."""

    def __init__(self, folder: Path, encode: Encode, max_tokens: int, eos: int, device: torch.device) -> None:
        """Take nothing yet.

        Args:
            folder: of the shards.
            encode: scripts to token ids.
            max_tokens: parts with longer scripts are left out.
            eos: id that ends a script.
            device: where all of it goes.
        """
        self.folder, self.encode, self.max_tokens, self.eos, self.device = folder, encode, max_tokens, eos, device
        self.names: list[str] = []
        self.meshes: Meshes | None = None
        self.ids = torch.empty(0, dtype=torch.int32, device=device)
        self.offsets = torch.zeros(1, dtype=torch.int64, device=device)
        self.lengths = np.empty(0, np.int64)
        #: The numbers of the parts, in the meshes, whose scripts are short enough; parts of each shard.
        self.usable = np.empty(0, np.int64)
        self.counts: list[int] = []

    def __len__(self) -> int:
        return len(self.lengths)

    def refresh(self, names: list[str] | None = None) -> list[str]:
        """Take the shards that are finished by now (or those named); return the names of all taken."""
        have = [p.name for p in shard_files(self.folder)] if names is None else names
        new = [n for n in have if n not in self.names]
        pieces: list[Meshes] = [self.meshes] if self.meshes is not None else []
        ids, lengths = [self.ids], [self.lengths]
        for name in new:
            with np.load(self.folder / name) as arrays:
                flat = {k: arrays[k] for k in arrays.files}
            if not len(flat["reach"]):
                self.names.append(name)
                self.counts.append(0)
                continue
            tokens = [[*t, self.eos] for t in self.encode(_scripts(flat))]
            ids.append(torch.tensor([i for t in tokens for i in t], dtype=torch.int32).to(self.device))
            lengths.append(np.array([len(t) for t in tokens], np.int64))
            pieces.append(Meshes.load(flat, self.device))
            self.names.append(name)
            self.counts.append(len(tokens))
        if len(ids) > 1:
            self.meshes = join(pieces)
            self.ids = torch.cat(ids)
            self.lengths = np.concatenate(lengths)
            self.offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(self.lengths)])).to(self.device)
            self.usable = np.flatnonzero(self.lengths <= self.max_tokens + 1)
        return list(self.names)

    def take(self, rows: np.ndarray[Any, Any], views: int = 1) -> Meshes:
        """Return the meshes of parts, each ``views`` times in a row."""
        assert self.meshes is not None
        numbers = torch.from_numpy(np.repeat(np.asarray(rows, np.int64), views)).to(self.device)
        return self.meshes.take(numbers)

    def scripts(self, rows: np.ndarray[Any, Any], width: int, pad: int) -> torch.Tensor:
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


def _scripts(flat: dict[str, np.ndarray[Any, Any]]) -> list[str]:
    text, ends = flat["code"].tobytes(), flat["code_offsets"].tolist()
    return [text[a:b].decode() for a, b in zip(ends, ends[1:], strict=False)]
