"""Make the bank of programs that lies beside a checkpoint (:mod:`cadcoder.refine.bank`) from a built set.

``python -m dataset_build.bank --shards DIR --out MODEL/bank.npz [--most N] [--views M]``

Every drawing of the set is described; where there are more than ``--most``, those stay that are least like the ones
before them. ``--views`` of them are drawn from a grid of cameras too, for pictures from elsewhere. The same set gives
the same file.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cadcoder.errors import ConfigError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.refine.bank import VERSION, Bank, describe_drawn, describe_gencad, make_bank, principal
from cadcoder.refine.poses import GRID
from cadcoder.refine.viewbank import ViewBank
from cadcoder.render.mesh import drawable
from dataset_build.build import reporter
from dataset_build.command import told

Floats = npt.NDArray[np.float32]

#: Drawings that the principal components are taken from.
FIRST = 8000


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dataset_build.bank", description="Make a bank of programs.")
    parser.add_argument("--shards", required=True, type=Path, help="folder of a built set with pictures")
    parser.add_argument("--out", required=True, type=Path, help="the file to write, for example MODEL/bank.npz")
    parser.add_argument("--most", type=int, default=250_000, help="programs to keep at most (default %(default)s)")
    parser.add_argument("--components", type=int, default=32, help="numbers a drawing (default %(default)s)")
    parser.add_argument("--views", type=int, default=0, help="programs that are seen from everywhere (default none)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    args = parser.parse_args(argv)
    bank = build_bank(args.shards, args.most, args.components, args.workers, args.views)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    bank.save(args.out)
    size = args.out.stat().st_size
    text = f"{len(bank):,} programs in {args.out}, {size / 1e6:.1f} MB (format {VERSION})"
    print(text, file=sys.stderr)  # noqa: T201
    return 0


def build_bank(folder: Path, most: int = 250_000, components: int = 32, workers: int = 1, views: int = 0) -> Bank:
    """Return the bank of a set's drawings.

    Args:
        folder: of the set.
        most: programs to keep.
        components: numbers that a drawing is described by.
        workers: processes; the bank does not depend on it.
        views: programs to draw from every camera of the grid.

    Raises:
        ConfigError: if there are no shards with pictures, or the values are impossible.
    """
    if min(most, components, workers) < 1:
        raise ConfigError(f"--most, --components and --workers must be at least 1, not {most}, {components}, {workers}")
    files = sorted(folder.glob("data/*.parquet"))
    if not files:
        build = f"python -m dataset_build.build --source synthetic --count 100000 --out {folder}"
        raise ConfigError(f"no shards in {folder}/data; build some with: {build}")
    basis: tuple[Floats, Floats] | None = None
    texts: dict[str, None] = {}
    places: list[Floats] = []
    waiting: list[npt.NDArray[np.float16]] = []
    report, close = reporter(len(files), quiet=False)
    with multiprocessing.get_context("spawn").Pool(min(workers, len(files))) as pool:
        for count, (codes, descriptions) in enumerate(pool.imap(_described, files)):
            for code, description in zip(codes, descriptions, strict=True):
                if code not in texts:
                    texts[code] = None
                    waiting.append(description)
            if basis is None and (len(waiting) >= FIRST or count + 1 == len(files)) and waiting:
                basis = principal(np.stack(waiting).astype(np.float32), min(components, len(waiting)))
            if basis is not None and waiting:
                places.append(np.asarray((np.stack(waiting) - basis[0]) @ basis[1], dtype=np.float32))
                waiting = []
            report(count + 1)
    close()
    if basis is None:
        raise ConfigError(f"the shards in {folder} hold no samples")
    at = np.concatenate(places)
    kept = _novel(at, most)
    scripts = list(texts)
    bank = make_bank([scripts[i] for i in kept], at[kept], *basis)
    return bank if views < 1 else replace(bank, views=build_views(bank, views, components, workers))


def build_views(bank: Bank, count: int, components: int = 32, workers: int = 1) -> ViewBank:
    """Return some programs of a bank as they are seen from everywhere.

    Args:
        bank: whose programs.
        count: how many of them.
        components: numbers that a drawing is described by.
        workers: processes; the result does not depend on it.
    """
    # Any of them, as often as they occur, less those that look like others: a third is left out.
    some = np.random.default_rng(0).permutation(len(bank))[: count * 3 // 2]
    rows = np.sort(some[_novel(bank.codes[some].astype(np.float32), count)]).astype(np.int32)
    basis: tuple[Floats, Floats] | None = None
    places: list[Floats] = []
    waiting: list[npt.NDArray[np.float16]] = []
    chunks = [[bank.texts[i] for i in rows[k : k + 20]] for k in range(0, len(rows), 20)]
    report, close = reporter(len(chunks), quiet=False)
    with multiprocessing.get_context("spawn").Pool(min(workers, len(chunks))) as pool:
        for done, described in enumerate(pool.imap(_seen, chunks)):
            waiting += [described]
            if basis is None and (sum(len(w) for w in waiting) * len(GRID) >= FIRST or done + 1 == len(chunks)):
                first = np.concatenate(waiting).reshape(-1, described.shape[-1]).astype(np.float32)
                basis = principal(first, min(components, len(first)))
            if basis is not None:
                places += [np.asarray((w - basis[0]) @ basis[1], dtype=np.float32) for w in waiting]
                waiting = []
            report(done + 1)
    close()
    assert basis is not None
    at = np.concatenate(places)
    scale = float(np.abs(at).max()) / 127 or 1.0
    return ViewBank(rows, *basis, scale, np.round(at / scale).astype(np.int8))


def _seen(codes: list[str]) -> npt.NDArray[np.float16]:
    """Return the descriptions (N, V, F) of scripts' drawings from the cameras of the grid."""
    found = []
    for code in codes:
        part = drawable(build(parse(code), np.pi / 24), seams=False)
        for pose in GRID:
            found.append(describe_drawn(part, pose.camera()).astype(np.float16))
    return np.stack(found).reshape(len(codes), len(GRID), -1)


def _described(path: Path) -> tuple[list[str], npt.NDArray[np.float16]]:
    """Return the scripts of a shard and the descriptions of their drawings (N, F)."""
    import pyarrow.parquet as pq
    from PIL import Image

    file = pq.ParquetFile(path)
    if "image" not in file.schema_arrow.names:
        raise ConfigError(f"{path} has no pictures; build the set without --no-images")
    codes: list[str] = []
    found = []
    for group in file.iter_batches(200, columns=["image", "code"]):
        rows: list[dict[str, Any]] = group.to_pylist()
        for row in rows:
            drawing = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("L"), np.uint8)
            found.append(describe_gencad(drawing).astype(np.float16))
            codes.append(row["code"])
    return codes, np.stack(found) if found else np.empty((0, 0), np.float16)


def _novel(at: Floats, most: int, block: int = 1000) -> npt.NDArray[np.intp]:
    """Return the rows of (N, K) to keep, in order: those farthest from all rows before them."""
    if len(at) <= most:
        return np.arange(len(at))
    squares = (at**2).sum(1)
    far = np.full(len(at), np.inf, np.float32)
    for start in range(0, len(at), block):
        stop = min(start + block, len(at))
        distances = squares[:stop] - 2 * (at[start:stop] @ at[:stop].T)
        later = np.arange(stop)[None, :] >= np.arange(start, stop)[:, None]
        nearest = np.where(later, np.inf, distances).min(1, initial=np.inf)
        far[start:stop] = nearest + squares[start:stop]
    return np.sort(np.argsort(-far, kind="stable")[:most])


if __name__ == "__main__":
    raise SystemExit(main())
