"""Shards to batches: cached once, held-out samples apart, the order given by seed and pass, new shards taken up."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cadcoder.model.framing import Framing
from train.config import Data
from train.data import CacheKey, Pool, bucket, cache_shard, cached, shard_files

_SPEC = importlib.util.spec_from_file_location("_shards", Path(__file__).with_name("test_train_run.py"))
assert _SPEC is not None and _SPEC.loader is not None
_RUN = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_RUN)

KEY = CacheKey(16, Framing(), 100, "t")


def _encode(texts):
    return [[10 + ord(c) for c in t[-(20 + sum(map(ord, t)) % 40) :]] for t in texts]


def _cache(folder):
    for path in shard_files(folder):
        if not any(s.name.endswith(path.stem) for s in cached(folder, folder / ".cache", KEY)):
            cache_shard(folder, path, folder / ".cache", KEY, _encode)


def _pool(folder, seed=0, order=None, **data):
    return Pool(Data(shards=str(folder), **{"held_out": 20, **data}), KEY, seed, 16, 3, 0, order)


@pytest.fixture
def folder(tmp_path):
    for i in range(2):
        _RUN._shard(tmp_path / "data" / f"train-{i:05d}.parquet", i, 100)
    _cache(tmp_path)
    return tmp_path


def test_rejects_and_hidden_files_are_no_shards(folder):
    (folder / "rejects.parquet").write_bytes(b"")
    (folder / ".work").mkdir()
    (folder / ".work" / "x.parquet").write_bytes(b"")
    assert [p.name for p in shard_files(folder)] == ["train-00000.parquet", "train-00001.parquet"]


def test_keys_do_not_share_a_cache(folder):
    assert len(cached(folder, folder / ".cache", KEY)) == 2
    assert cached(folder, folder / ".cache", CacheKey(24, Framing(), 100, "t")) == []
    cache_shard(folder, shard_files(folder)[0], folder / ".cache", CacheKey(24, Framing(), 100, "t"), _encode)
    assert len(cached(folder, folder / ".cache", CacheKey(24, Framing(), 100, "t"))) == 1
    assert cached(folder, folder / ".cache", KEY)[0].images.shape == (100, 16, 16)


def test_long_scripts_are_dropped_and_counted(folder):
    key = CacheKey(16, Framing(), 0, "t")
    cache_shard(folder, shard_files(folder)[0], folder / ".cache", key, lambda texts: [[5]] * len(texts))
    (shard,) = cached(folder, folder / ".cache", key)
    assert len(shard) == 0 and shard.dropped == 100


def test_a_pass_sees_rows_once_and_never_those_held_out(folder):
    pool = _pool(folder)
    seen = [tuple(r) for batch in pool.plan() for r in batch]
    held = {tuple(r) for r in pool.held}
    assert len(seen) == len(set(seen)) and not set(seen) & held and len(held) == 20
    assert len(seen) >= 180 - 15
    assert sum(len(b.lengths) for b in pool.held_out(16)) == 20


def test_batches_are_padded_with_an_end_and_alike_in_length(folder):
    pool = _pool(folder)
    spread = []
    for rows in pool.plan():
        batch = pool.take(rows)
        assert batch.ids.shape[1] == bucket(int(batch.lengths.max()))
        for ids, length in zip(batch.ids, batch.lengths, strict=True):
            assert ids[length - 1] == 3 and (ids[length:] == 0).all() and (ids[: length - 1] > 3).all()
        spread.append(np.ptp(batch.lengths))
    assert np.mean(spread) < np.ptp(pool.lengths(pool.rows))


def test_the_order_follows_seed_and_position(folder):
    def take(pool, n):
        stream = pool.batches()
        out = [next(stream) for _ in range(n)]
        return [b.ids.tobytes() for b, _ in out], out[-1][1]

    first, position = take(_pool(folder), 30)
    again, _ = take(_pool(folder), 30)
    assert first == again
    other, _ = take(_pool(folder, seed=1), 30)
    assert first != other
    _, middle = take(_pool(folder), 13)
    resumed = _pool(folder)
    resumed.restore(middle)
    rest, after = take(resumed, 17)
    assert rest == first[13:] and after == position


def test_new_shards_come_in_at_the_next_pass_and_the_held_out_stay(folder):
    pool = _pool(folder, order=folder / "order.json")
    held = [b.ids.tobytes() for b in pool.held_out(16)]
    # A name that sorts before the others must not move what is held out.
    _RUN._shard(folder / "data" / "a-new.parquet", 9, 100)
    _cache(folder)
    stream = pool.batches()
    count = len(pool.plan())
    for _ in range(count):
        next(stream)
    assert len(pool.rows) == 180
    next(stream)
    assert len(pool.rows) == 280
    fresh = _pool(folder, order=folder / "order.json")
    assert [b.ids.tobytes() for b in pool.held_out(16)] == held == [b.ids.tobytes() for b in fresh.held_out(16)]


@pytest.mark.parametrize(("length", "wanted"), [(1, 16), (16, 16), (17, 24), (97, 128), (257, 512)])
def test_buckets(length, wanted):
    assert bucket(length) == wanted
