"""Where a run's samples come from: Parquet shards with pictures, or (:mod:`train.offline`) meshes drawn on the fly."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from cadcoder.errors import ConfigError
from train.config import Recipe, Stage


class Source(Protocol):
    """The samples of a recipe; see :class:`Shards` for the usual one."""

    def scripts(self, count: int) -> list[str]:
        """Return some scripts, for the tokenizer; raises ConfigError where there are none."""
        ...

    def opened(self, tokenizer: Path) -> AbstractContextManager[None]:
        """Make the samples ready, with the tokenizer saved in a folder, for as long as the context lasts."""
        ...

    def pool(self, name: str, seed: int, stage: Stage, tokenizer: Any, device: Any) -> Any:
        """Return what a stage draws its batches from: anything with what :class:`train.data.Pool` has."""
        ...


class Shards:
    """Parquet shards, cached by a background process as they arrive."""

    def __init__(self, recipe: Recipe) -> None:
        """Take the recipe; nothing is read yet."""
        self.recipe = recipe
        self._key: Any = None

    def scripts(self, count: int) -> list[str]:
        """Return the first scripts of the set."""
        from train.data import read_scripts

        folder = self.recipe.data.shards
        found = read_scripts(Path(folder), count)
        if not found:
            raise ConfigError(
                f"data.shards: no Parquet shard in {folder}; build some with: "
                f"python -m dataset_build.build --source synthetic --count 100000 --out {folder}"
            )
        return found

    @contextmanager
    def opened(self, tokenizer: Path) -> Iterator[None]:
        """Start the process that caches shards, and wait until the first is there."""
        from train.data import CacheKey
        from train.export import recipe_framing

        data = self.recipe.data
        digest = hashlib.sha256((tokenizer / "tokenizer.json").read_bytes()).hexdigest()[:16]
        self._key = CacheKey(self.recipe.model.image, recipe_framing(self.recipe), data.max_tokens, digest)
        caching = follow(self.recipe, self._key, tokenizer)
        try:
            yield
        finally:
            caching.terminate()

    def pool(self, name: str, seed: int, stage: Stage, tokenizer: Any, device: Any) -> Any:
        """Return a pool of the cached shards; all stages take them in one order."""
        from train.data import Pool

        order = Path(self.recipe.out) / "shards.json"
        ends = tokenizer.eos_token_id, tokenizer.pad_token_id
        return Pool(self.recipe.data, self._key, seed, stage.batch, *ends, order)


def follow(recipe: Recipe, key: Any, tokenizer: Path) -> Any:
    """Start the process that caches shards, and wait until the first is there."""
    from train.data import cache_folder, cached

    folder = Path(recipe.data.shards)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=keep_caching, args=(recipe, key, tokenizer, os.getpid()), daemon=True)
    process.start()
    while not cached(folder, cache_folder(recipe.data), key):
        if not process.is_alive():
            raise ConfigError(f"data.shards: the shards in {folder} could not be read; see the message above")
        time.sleep(0.1)
    return process


def keep_caching(recipe: Recipe, key: Any, tokenizer: Path, parent: int) -> None:
    """Cache shards as they arrive, until the parent is gone."""
    from tokenizers import Tokenizer

    from train.data import beside, cache_folder, cache_name, cache_shard, shard_files

    os.nice(5)
    folder, cache = Path(recipe.data.shards), cache_folder(recipe.data)
    backend = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))

    def encode(texts: list[str]) -> list[list[int]]:
        return [e.ids for e in backend.encode_batch(texts, add_special_tokens=False)]

    while os.getppid() == parent:
        for path in shard_files(folder):
            if not beside(cache / cache_name(folder, path, key), ".done.json").exists():
                cache_shard(folder, path, cache, key, encode)
                break
        else:
            time.sleep(2)
