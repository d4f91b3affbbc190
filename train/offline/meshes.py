"""Build shards of meshes and scripts from the synthesiser, with neither CadQuery nor VTK.

``python -m train.offline.meshes --out DIR --parts 1000000 [--minutes 8] [--seed 0] [--workers 16]``

A build that was stopped goes on where it stopped when the same command is given again; shard k holds the same bytes
whatever the number of workers. Format of ``mesh-00007.npz``: the arrays of
:func:`cadcoder.render.raster_mesh.flatten`, and the scripts as UTF-8 in ``code`` with ``code_offsets``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import CadCoderError, ConfigError

#: Parts a shard; small, so that training can begin early.
SHARD = 2000
#: A part that takes longer than so many seconds is left out.
PATIENCE = 20


class TooSlow(Exception):
    """A part took longer than :data:`PATIENCE`."""


def shard_path(out: Path, number: int) -> Path:
    """Return the path of a shard."""
    return out / f"mesh-{number:05d}.npz"


def shard_files(out: Path) -> list[Path]:
    """Return the finished shards of a folder, in order."""
    return sorted(out.glob("mesh-*.npz"))


def build_meshes(
    out: Path, parts: int, seed: int = 0, workers: int = 1, minutes: float | None = None, shard: int = SHARD
) -> int:
    """Build the shards that are missing; return how many there are then.

    Args:
        out: the folder.
        parts: parts to draw; those that cannot be drawn or are too large are left out of their shard.
        seed: another seed shares no part.
        workers: processes.
        minutes: stop after so many; None is to the end.
        shard: parts a shard.

    Raises:
        ConfigError: if a number is impossible.
    """
    if min(parts, workers, shard) < 1 or seed < 0:
        raise ConfigError("parts, workers and shard must be at least 1, the seed not negative")
    out.mkdir(parents=True, exist_ok=True)
    count = -(-parts // shard)
    todo = [k for k in range(count) if not shard_path(out, k).exists()]
    tasks = [(str(shard_path(out, k)), seed, k * shard, min(parts, (k + 1) * shard)) for k in todo]
    end = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    began, done = time.monotonic(), 0
    if tasks and time.monotonic() < end:
        # Spawned: a parent that has threads, or holds a GPU, cannot be forked safely.
        with get_context("spawn").Pool(min(workers, len(tasks)), _start, (os.getpid(),)) as pool:
            for kept in pool.imap_unordered(_build, tasks):
                done += kept
                rate = done / (time.monotonic() - began)
                print(f"meshes: {len(shard_files(out))} of {count} shards, {rate:.0f} parts/s", file=sys.stderr)  # noqa: T201
                if time.monotonic() >= end:
                    pool.terminate()
                    break
    return len(shard_files(out))


def _start(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _ring)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End this worker when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _ring(_number: int, _frame: Any) -> None:
    raise TooSlow


def _build(task: tuple[str, int, int, int]) -> int:
    """Write one shard, whole or not at all; return the number of its parts."""
    from cadcoder.program import emit, parse
    from cadcoder.render.raster_mesh import flatten, pack
    from dataset_build.sources import SEED_STRIDE
    from dataset_build.synth import sample_solid

    path, seed, first, stop = task
    packed, codes = [], []
    for i in range(first, stop):
        signal.alarm(PATIENCE)
        try:
            program, solid = sample_solid(seed * SEED_STRIDE + i)
            code = emit(program, dialect="plain")
            arrays = pack(solid) if parse(code) == program else None
        except (CadCoderError, TooSlow):
            continue
        finally:
            signal.alarm(0)
        if arrays is not None:
            packed.append(arrays)
            codes.append(code.encode())
    flat = flatten(packed)
    flat["code"] = np.frombuffer(b"".join(codes), dtype=np.uint8)
    flat["code_offsets"] = np.cumsum([0, *map(len, codes)]).astype(np.int64)
    partial = Path(path).with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, **flat)  # type: ignore[arg-type]
    os.replace(partial, path)
    return len(codes)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.offline.meshes", description="Build shards of meshes.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--parts", type=int, required=True, help="parts to draw")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument("--seed", type=int, default=0, help="another seed shares no part (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (all cores)")
    parser.add_argument("--shard", type=int, default=SHARD, help=f"parts a shard ({SHARD})")
    a = parser.parse_args(argv)
    try:
        build_meshes(a.out, a.parts, a.seed, a.workers, a.minutes, a.shard)
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
