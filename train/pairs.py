"""Preference pairs: scripts sampled from a checkpoint, judged by what they make.

``python -m train.pairs --model default --data data/synthetic --count 1000 --candidates 8 --out data/pairs``

Every part's candidates run in the executor and are compared with the true part; the best and the worst become
``chosen`` and ``rejected`` where they are far enough apart. ``OUT/pairs-00000.parquet`` and on hold ``images`` (framed
as the model sees them), ``prompt``, ``chosen``, ``rejected``, both rewards and ``truth_code``. A shard is written whole
or not at all, and a run goes on after the last.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import Any

from cadcoder.errors import CadCoderError, ConfigError
from train.loop import say
from train.reward import DEFAULT, load_reward

#: Parts whose candidates are written together, and pairs a shard.
CHUNK = 32


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.pairs", description="Write preference pairs.")
    parser.add_argument("--model", default="default", help="a checkpoint folder, or default")
    parser.add_argument("--data", required=True, help="folder of Parquet shards with pictures and scripts")
    parser.add_argument("--out", required=True, type=Path, help="folder of the pairs")
    parser.add_argument("--count", type=int, default=1000, help="parts that are tried")
    parser.add_argument("--candidates", type=int, default=8, help="scripts a part")
    parser.add_argument("--margin", type=float, default=0.1, help="least difference of the two rewards")
    parser.add_argument("--max-tokens", type=int, default=320, help="longest script")
    parser.add_argument("--workers", type=int, default=2, help="scripts run at once")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling")
    parser.add_argument("--reward", default=DEFAULT, metavar="MODULE:CLASS", help="who marks scripts (%(default)s)")
    args = parser.parse_args(argv)
    try:
        count = write_pairs(
            args.model,
            args.data,
            args.out,
            args.count,
            args.candidates,
            args.margin,
            args.max_tokens,
            args.workers,
            args.seed,
            args.reward,
        )
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    say(f"{count:,} pairs in {args.out}")
    return 0


def write_pairs(
    model: str,
    data: str,
    out: Path,
    count: int,
    candidates: int = 8,
    margin: float = 0.1,
    max_tokens: int = 320,
    workers: int = 2,
    seed: int = 0,
    reward_name: str = DEFAULT,
) -> int:
    """Write pairs for the first ``count`` parts of a set; return how many there are in all.

    Raises:
        ConfigError: if a number is out of range or the set cannot be read.
        InputError: if the checkpoint cannot.
    """
    from cadcoder.model import Model
    from train.llava.recipe import Data
    from train.llava.samples import Samples, open_picture

    if candidates < 2 or count < 1 or not 0 < margin <= 1:
        raise ConfigError("pairs need at least 2 candidates, 1 part, and a margin above 0 and up to 1")
    samples = Samples(Data(path=data), "--data")
    writer = Model.load(model)
    out.mkdir(parents=True, exist_ok=True)
    total, tried = 0, min(count, len(samples))
    with load_reward(reward_name, valid=0.1, workers=workers) as reward:
        for shard, start in enumerate(range(0, tried, CHUNK)):
            file = out / f"pairs-{shard:05d}.parquet"
            if not file.exists():
                rows = [samples[i] for i in range(start, min(start + CHUNK, tried))]
                images = [writer.framed(open_picture(row)) for row in rows]
                written = writer.candidates_batch(images, candidates, seed + shard, max_tokens)
                pairs: list[dict[str, Any]] = []
                for row, image, scripts in zip(rows, images, written, strict=True):
                    pair = judged(scripts, row.answer, reward, margin)
                    if pair is not None:
                        pairs.append({"images": [_png(image)], "prompt": writer.card.prompt, **pair})
                _write(file, pairs)
            total += _rows(file)
            say(f"pairs: {min(start + CHUNK, tried):,} of {tried:,} parts, {total:,} pairs")
    return total


def judged(scripts: list[str], truth: str, reward: Any, margin: float) -> dict[str, Any] | None:
    """Return the best and the worst of a part's scripts, or None where they are as good as each other."""
    unique = list(dict.fromkeys(s for s in scripts if s))
    marks = reward(completions=unique, truth_code=[truth] * len(unique)) if len(unique) > 1 else []
    known = [(m, s) for m, s in zip(marks, unique, strict=False) if m is not None]
    if len(known) < 2:
        return None
    best, worst = max(known, key=lambda k: k[0]), min(known, key=lambda k: k[0])
    if best[0] - worst[0] < margin:
        return None
    return {
        "chosen": best[1],
        "rejected": worst[1],
        "chosen_reward": float(best[0]),
        "rejected_reward": float(worst[0]),
        "truth_code": truth,
    }


def _png(image: Any) -> dict[str, Any]:
    out = io.BytesIO()
    image.save(out, "PNG")
    return {"bytes": out.getvalue(), "path": None}


def _write(file: Path, pairs: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [(n, pa.string()) for n in ("prompt", "chosen", "rejected")]
    numbers = [(n, pa.float64()) for n in ("chosen_reward", "rejected_reward")]
    schema = pa.schema([("images", pa.list_(picture)), *texts, *numbers, ("truth_code", pa.string())])
    partial = file.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(pairs, schema), partial)
    os.replace(partial, file)


def _rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(file).metadata.num_rows)


if __name__ == "__main__":
    raise SystemExit(main())
