"""Training samples: Parquet shards turned once into framed pictures and token ids, then drawn in passes.

Decoding a PNG and framing it costs more than reading the result, so a shard is turned into two memory-mapped files
beside it (or in ``data.cache``), keyed by framing, size and tokenizer. A background process does this for shards
that arrive while training runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.model.framing import Framing, frame_placed
from train.config import Data
from train.depths import UNKNOWN, depth_grid

Array = np.ndarray[Any, Any]

#: Answers are padded up to one of these lengths, or a multiple of the last: each length is compiled once.
BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256)


def bucket(length: int) -> int:
    """Return the padded length for the longest answer of a batch."""
    return next((b for b in BUCKETS if b >= length), -(-length // BUCKETS[-1]) * BUCKETS[-1])


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What decides the content of a cached shard."""

    size: int
    framing: Framing
    max_tokens: int
    tokenizer: str

    def text(self) -> str:
        """Return a short hash."""
        seen = json.dumps([self.size, repr(self.framing), self.max_tokens, self.tokenizer, "depths"])
        return hashlib.sha256(seen.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Shard:
    """A cached shard: grey pictures (n, size, size) uint8, depths, and the scripts' ids, flat, with n + 1 offsets."""

    name: str
    images: Array
    depths: Array
    ids: Array
    offsets: Array
    dropped: int

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of about one length.

    Attributes:
        images: uint8 (batch, size, size).
        depths: int8 (batch, size / 4, size / 4), as :mod:`train.depths` defines them.
        ids: int64 (batch, length), each script's tokens and ``</s>``, then padding.
        lengths: int64 (batch,), tokens with ``</s>``.
    """

    images: Array
    depths: Array
    ids: Array
    lengths: Array


def shard_files(folder: Path) -> list[Path]:
    """Return the Parquet shards below a folder, in the order of their names (without ``rejects.parquet``)."""
    found = [p for p in folder.rglob("*.parquet") if p.name != "rejects.parquet" and ".cache" not in p.parts]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def cached(folder: Path, cache: Path, key: CacheKey) -> list[Shard]:
    """Return the shards of a folder that are cached already, in the order of their names."""
    shards = []
    for path in shard_files(folder):
        base = cache / cache_name(folder, path, key)
        if beside(base, ".done.json").exists():
            shards.append(open_shard(folder, path, base))
    return shards


def shard_name(folder: Path, path: Path) -> str:
    """Return the name a shard goes by, unique below its folder."""
    return "-".join(path.relative_to(folder).with_suffix("").parts)


def cache_name(folder: Path, path: Path, key: CacheKey) -> str:
    """Return the name that a shard's cached files begin with."""
    return f"{shard_name(folder, path)}.{key.text()}"


def beside(base: Path, ending: str) -> Path:
    """Return ``base`` with an ending added (its own dots stay)."""
    return base.with_name(base.name + ending)


def open_shard(folder: Path, path: Path, base: Path) -> Shard:
    """Open a cached shard by its base name."""
    meta = json.loads(beside(base, ".done.json").read_text())
    shape = (meta["rows"], meta["size"], meta["size"])
    images = np.memmap(beside(base, ".images"), np.uint8, "r", shape=shape) if meta["rows"] else np.empty(shape)
    with np.load(beside(base, ".npz")) as arrays:
        name, depths = shard_name(folder, path), arrays["depths"]
        return Shard(name, images, depths, arrays["ids"], arrays["offsets"], meta["dropped"])


def cache_shard(folder: Path, path: Path, cache: Path, key: CacheKey, encode: Callable[[list[str]], Any]) -> None:
    """Write the cache of one shard: whole or not at all.

    Args:
        folder: the folder of the set.
        path: the shard.
        cache: where the cache goes.
        key: what decides it.
        encode: texts to lists of token ids.
    """
    import pyarrow.parquet as pq
    from PIL import Image

    base = cache / cache_name(folder, path, key)
    cache.mkdir(parents=True, exist_ok=True)
    ids: list[Array] = []
    depths: list[Array] = []
    dropped = 0
    file = pq.ParquetFile(path)
    deep = "depth" in file.schema_arrow.names
    partial = beside(base, f".{os.getpid()}.partial")
    with partial.open("wb") as out:
        for group in file.iter_batches(200, columns=["image", "code", *(["depth"] if deep else [])]):
            rows = group.to_pylist()
            for row, tokens in zip(rows, encode([r["code"] for r in rows]), strict=True):
                if len(tokens) > key.max_tokens:
                    dropped += 1
                    continue
                picture, place = frame_placed(Image.open(io.BytesIO(row["image"]["bytes"])), key.size, key.framing)
                out.write(np.asarray(picture.convert("L"), np.uint8).tobytes())
                depths.append(depth_grid(row["depth"]["bytes"] if deep else None, place, key.size))
                ids.append(np.asarray(tokens, np.uint16))
    os.replace(partial, beside(base, ".images"))
    offsets = np.cumsum([0, *(len(i) for i in ids)])
    grid = np.stack(depths) if depths else np.empty((0, key.size // 4, key.size // 4), np.int8)
    flat = np.concatenate(ids or [np.empty(0, np.uint16)])
    np.savez(beside(base, ".npz"), ids=flat, offsets=offsets, depths=grid)
    done = beside(base, ".done.json")
    partial.write_text(json.dumps({"rows": len(ids), "size": key.size, "dropped": dropped}))
    os.replace(partial, done)


def read_scripts(folder: Path, count: int) -> list[str]:
    """Return the first ``count`` scripts of a set."""
    import pyarrow.parquet as pq

    texts: list[str] = []
    for path in shard_files(folder):
        texts += pq.read_table(path, columns=["code"]).column(0).to_pylist()
        if len(texts) >= count:
            break
    return texts[:count]


class Pool:
    """The samples of the cached shards, in passes whose order depends on the seed and the pass alone.

    The first ``held_out`` samples are kept apart. ``position`` is all that is needed to go on exactly: the pass,
    its shards, and the batches of it already seen.
    """

    def __init__(
        self, data: Data, key: CacheKey, seed: int, batch: int, eos: int, pad: int, order: Path | None = None
    ) -> None:
        """Take the shards that are cached now.

        Args:
            data: the recipe's section.
            key: the cache's key.
            seed: of the order.
            batch: samples a batch.
            eos: id that ends a script.
            pad: id of the padding.
            order: file that keeps the order in which shards were taken, so that the held-out samples stay the
                same when more shards arrive; None keeps it in memory.
        """
        self.order = order
        self.folder = Path(data.shards)
        self.cache = cache_folder(data)
        self.data, self.key, self.seed, self.batch, self.eos, self.pad = data, key, seed, batch, eos, pad
        self.position: dict[str, Any] = {"pass": 0, "shards": [], "batch": 0}
        self._load(self._taken())

    def _taken(self) -> list[str]:
        """Return the names of all cached shards, those taken before first."""
        file = self.order
        known = json.loads(file.read_text()) if file and file.exists() else list(self.position["shards"])
        names = {s.name for s in cached(self.folder, self.cache, self.key)}
        found = [n for n in known if n in names] + sorted(names - set(known))
        if file:
            partial = file.with_suffix(".partial")
            partial.write_text(json.dumps(found))
            os.replace(partial, file)
        return found

    def _load(self, names: list[str]) -> None:
        have = {s.name: s for s in cached(self.folder, self.cache, self.key)}
        self.shards = [have[n] for n in names]
        self.position["shards"] = names
        # Rows as (shard, row) pairs; those held out are of the first shard, whatever arrives later.
        pairs = [np.stack([np.full(len(s), i), np.arange(len(s))], 1) for i, s in enumerate(self.shards)]
        rows = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
        held = min(self.data.held_out, len(self.shards[0]) // 4) if self.shards else 0
        self.held, self.rows = rows[:held], rows[held:]

    def lengths(self, rows: Array) -> Array:
        """Return the number of tokens of each row, ``</s>`` included."""
        out = np.empty(len(rows), np.int64)
        for i, shard in enumerate(self.shards):
            at = rows[:, 0] == i
            out[at] = np.diff(shard.offsets)[rows[at, 1]] + 1
        return out

    def take(self, rows: Array) -> Batch:
        """Read rows into a batch, padded to one of the lengths :data:`BUCKETS`."""
        lengths = self.lengths(rows)
        ids = np.full((len(rows), bucket(int(lengths.max()))), self.pad, np.int64)
        images = np.empty((len(rows), self.key.size, self.key.size), np.uint8)
        depths = np.full((len(rows), self.key.size // 4, self.key.size // 4), UNKNOWN, np.int8)
        for i, (s, r) in enumerate(rows):
            shard = self.shards[s]
            ids[i, : lengths[i] - 1] = shard.ids[shard.offsets[r] : shard.offsets[r + 1]]
            ids[i, lengths[i] - 1] = self.eos
            images[i], depths[i] = shard.images[r], shard.depths[r]
        return Batch(images, depths, ids, lengths)

    def held_out(self, size: int) -> Iterator[Batch]:
        """Yield the held-out samples in batches of about one length."""
        rows = self.held[np.argsort(self.lengths(self.held), kind="stable")]
        for i in range(0, len(rows), size):
            yield self.take(rows[i : i + size])

    def plan(self) -> list[Array]:
        """Return the batches of the current pass: rows of like length together, batches in random order."""
        rng = np.random.default_rng([self.seed, self.position["pass"]])
        rows = self.rows[rng.permutation(len(self.rows))]
        batches: list[Array] = []
        span = self.batch * 64
        for start in range(0, len(rows), span):
            part = rows[start : start + span]
            part = part[np.argsort(self.lengths(part), kind="stable")]
            full = [part[i : i + self.batch] for i in range(0, len(part), self.batch)]
            if len(full) > 1 and len(full[-1]) < self.batch:
                full.pop()  # a short batch would be a new shape; its rows come in other passes
            batches += [full[i] for i in rng.permutation(len(full))]
        return batches

    def restore(self, position: dict[str, Any]) -> None:
        """Go on at a saved position."""
        self.position = dict(position)
        self._load(list(position["shards"]))

    def batches(self) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """Yield batches without end, each with the position after it; a new pass takes up new shards."""
        while True:
            plan = self.plan()
            for i in range(self.position["batch"], len(plan)):
                after = {**self.position, "batch": i + 1}
                yield self.take(plan[i]), after
                self.position = after
            taken = self._taken()
            self.position = {"pass": self.position["pass"] + 1, "shards": [], "batch": 0}
            self._load(taken)


def cache_folder(data: Data) -> Path:
    """Return where the cache of a set lies."""
    return Path(data.cache) if data.cache else Path(data.shards) / ".cache"
