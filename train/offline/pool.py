"""Batches drawn while training: parts from the store, pictures of every family from the rasteriser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cadcoder.errors import ConfigError
from cadcoder.render.raster_effects import Dice
from cadcoder.render.raster_looks import FAMILIES
from train.config import Drawn, Recipe, Stage
from train.data import bucket
from train.depths import CELL
from train.export import recipe_framing
from train.loop import Tensors
from train.offline.meshes import shard_files
from train.offline.squares import depth_grids, frame
from train.offline.store import Store, read_scripts

Array = np.ndarray[Any, Any]


class MeshSource:
    """Meshes of a folder, which may still be growing; a :class:`train.source.Source`."""

    def __init__(self, recipe: Recipe, patience: float = 300.0) -> None:
        """Take the recipe: ``data.shards`` is the folder; a first shard is waited for so many seconds."""
        self.recipe, self.folder, self.patience = recipe, Path(recipe.data.shards), patience
        self._store: Store | None = None

    def scripts(self, count: int) -> list[str]:
        """Return the scripts of the shards that are there."""
        end = time.monotonic() + self.patience
        while not shard_files(self.folder):
            if time.monotonic() > end:
                raise ConfigError(
                    f"data.shards: no mesh shard in {self.folder}; build some with: "
                    f"python -m train.offline.meshes --out {self.folder} --parts 100000"
                )
            time.sleep(0.2)
        return read_scripts(self.folder, count)

    @contextmanager
    def opened(self, tokenizer: Path) -> Iterator[None]:
        """Do nothing: the meshes are read as they are needed."""
        yield

    def pool(self, name: str, seed: int, stage: Stage, tokenizer: Any, device: Any) -> MeshPool:
        """Return the batches of a stage; all stages share one store."""
        if self._store is None:
            backend = tokenizer.backend_tokenizer

            def encode(texts: list[str]) -> list[list[int]]:
                return [e.ids for e in backend.encode_batch(texts, add_special_tokens=False)]

            most = self.recipe.data.max_tokens
            order = Path(self.recipe.out) / "meshes.json"
            self._store = Store(self.folder, encode, most, tokenizer.eos_token_id, torch.device(device), order)
        several = name in ("stage1", "stage2")
        return MeshPool(self.recipe, self._store, seed, stage.batch, tokenizer.pad_token_id, several)


class MeshPool:
    """Batches without end, as :class:`train.data.Pool`: their parts, views and looks depend on the seed and the pass.

    ``position`` is all that is needed to go on exactly, on the same device.
    """

    def __init__(self, recipe: Recipe, store: Store, seed: int, batch: int, pad: int, several: bool) -> None:
        """Take the shards that are finished now.

        Args:
            recipe: the whole recipe.
            store: of the parts.
            seed: of the order and the pictures.
            batch: pictures a batch.
            pad: id of the padding.
            several: whether some batches have several views of each part.
        """
        self.recipe, self.store, self.seed, self.batch, self.pad = recipe, store, seed, batch, pad
        self.several = several
        self.position: dict[str, Any] = {"pass": 0, "shards": [], "batch": 0}
        self._held: list[Tensors] = []
        self._load(store.refresh())

    def _load(self, names: list[str]) -> None:
        store = self.store
        if [n for n in names if n not in store.names]:
            store.refresh(names)
        if store.names[: len(names)] != names:
            raise ConfigError("the mesh shards are not those that the run began with; give it the same folder")
        self.position["shards"] = names
        known = sum(store.counts[: len(names)])
        rows = store.usable[store.usable < known]
        # Those held out are of the first shard, whatever arrives later.
        first = rows[rows < store.counts[0]]
        held = min(self.recipe.data.held_out, len(first) // 4)
        self.held, self.rows = rows[:held], rows[held:]

    def restore(self, position: dict[str, Any]) -> None:
        """Go on at a saved position."""
        self.position = dict(position)
        self._load(list(position["shards"]))

    def plan(self) -> list[Array]:
        """Return the batches of the current pass: rows of like length together, batches in random order."""
        rng = np.random.default_rng([self.seed, self.position["pass"]])
        rows = self.rows[rng.permutation(len(self.rows))]
        batches: list[Array] = []
        span = self.batch * 64
        for start in range(0, len(rows), span):
            part = rows[start : start + span]
            part = part[np.argsort(self.store.lengths[part], kind="stable")]
            full = [part[i : i + self.batch] for i in range(0, len(part), self.batch)]
            if len(full) > 1 and len(full[-1]) < self.batch:
                full.pop()
            batches += [full[i] for i in rng.permutation(len(full))]
        return batches

    def batches(self) -> Iterator[tuple[Tensors, dict[str, Any]]]:
        """Yield batches without end, each with the position after it; a new pass takes up new shards."""
        while True:
            plan = self.plan()
            ahead = self.recipe.drawn.ahead
            first = self.position["batch"]
            for start in range(first - first % ahead, len(plan), ahead):
                block = plan[start : start + ahead]
                self.store.prefetch()
                for i, batch in enumerate(self._block(block, [self.seed, self.position["pass"], start]), start):
                    if i < first:
                        continue  # drawn with its neighbours, as it was before the interruption
                    after = {**self.position, "batch": i + 1}
                    yield batch, after
                    self.position = after
            names = self.store.refresh()
            self.position = {"pass": self.position["pass"] + 1, "shards": [], "batch": 0}
            self._load(names)

    def _block(self, block: list[Array], seed: list[int]) -> Iterator[Tensors]:
        """Yield batches whose pictures are drawn together, which costs a GPU little more than those of one."""
        rng = np.random.default_rng(seed)
        views = [self._views(rng) for _ in block]
        rows = [r[: max(1, len(r) // v)] for r, v in zip(block, views, strict=True)]
        each = np.concatenate([np.repeat(r, v) for r, v in zip(rows, views, strict=True)])
        # Of several views of a part one, at any place, may be from the paper's corner: twice would tell nothing more.
        corners = np.concatenate(
            [
                rng.permuted(np.eye(v, dtype=bool)[np.zeros(len(r), int)], axis=1).ravel()
                for r, v in zip(rows, views, strict=True)
            ]
        )
        images, depths = self._pictures(each, seed, True, self.recipe.drawn, corners)
        at = 0
        for r, v in zip(rows, views, strict=True):
            stop = at + len(r) * v
            yield self._batch(r, images[at:stop], depths[at:stop], v)
            at = stop

    def held_out(self, size: int) -> Iterator[Tensors]:
        """Yield the held-out samples, one view each, in batches of about one length; always the same pictures."""
        if not self._held:
            rows = self.held[np.argsort(self.store.lengths[self.held], kind="stable")]
            for i in range(0, len(rows), size):
                self._held.append(self.draw(rows[i : i + size], [self.recipe.seed, 0, i], 1, train=False))
        yield from self._held

    def _views(self, rng: np.random.Generator) -> int:
        drawn, roll = self.recipe.drawn, float(rng.random())
        if not self.several or roll >= drawn.two + drawn.four:
            return 1
        return 2 if roll < drawn.two else 4

    def draw(self, rows: Array, seed: list[int], views: int, train: bool = True, mix: Drawn | None = None) -> Tensors:
        """Return the samples of parts, their pictures drawn now.

        Args:
            rows: numbers of the parts.
            seed: of the pictures.
            views: pictures of each part.
            train: whether the pictures are moved about a little.
            mix: the families' shares; None is the recipe's.
        """
        images, depths = self._pictures(np.repeat(rows, views), seed, train, mix or self.recipe.drawn)
        return self._batch(rows, images, depths, views)

    def _batch(self, rows: Array, images: torch.Tensor, depths: torch.Tensor, views: int) -> Tensors:
        store = self.store
        lengths = torch.from_numpy(store.lengths[rows]).to(store.device)
        ids = store.scripts(rows, bucket(int(store.lengths[rows].max())), self.pad)
        if views > 1:
            images = images.unflatten(0, (len(rows), views))
            depths = depths.unflatten(0, (len(rows), views))[:, 0]
        return Tensors(images, depths, ids, lengths)

    def _pictures(
        self, rows: Array, seed: list[int], train: bool, mix: Drawn, corners: Array | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return squares (N, S, S) uint8 and depths (N, S / 4, S / 4) int8 of parts.

        Where ``corners`` (N,) is false the paper's corner is left out of the mix, if there is anything else in it.
        """
        recipe, device = self.recipe, self.store.device
        rng = np.random.default_rng([*seed, 1])
        shares = mix.shares()
        weights = np.array(list(shares.values()))
        family = rng.choice(len(shares), len(rows), p=weights / weights.sum())
        others = weights * [name != "corner" for name in shares]
        if corners is not None and others.sum() > 0:
            family = np.where(corners, family, rng.choice(len(shares), len(rows), p=others / others.sum()))
        size, cells = recipe.model.image, recipe.model.image // CELL
        images = torch.empty((len(rows), size, size), dtype=torch.uint8, device=device)
        depths = torch.empty((len(rows), cells, cells), dtype=torch.int8, device=device)
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for k, name in enumerate(shares):
                chosen = np.flatnonzero(family == k)
                for start in range(0, len(chosen), mix.chunk):
                    at = chosen[start : start + mix.chunk]
                    dice = Dice(len(at), generator, device)
                    drawn = FAMILIES[name](self.store.take(rows[at]), dice, mix.canvas)
                    most = recipe.data.shift if train else 0
                    shift = torch.floor(dice.uniform(-most, most + 1, 2)).long() if most else None
                    squares, places = frame(drawn.pictures, size, recipe_framing(recipe), shift)
                    where = torch.from_numpy(at).to(device)
                    images[where] = squares
                    depths[where] = depth_grids(drawn.nearness, places, size)
        return images, depths
