"""Build a set of pictures and scripts into Parquet shards.

``python -m dataset_build.build --source synthetic --count 10000 --out DIR [--seed 0] [--workers 2]``

``--engine ray [--ray-address ADDRESS]`` does the same on the nodes of a Ray cluster (:mod:`dataset_build.cluster`).

A build that was stopped or killed goes on where it stopped when the same command is given again, and ends with
the same bytes; so does one with another number of workers. Every input ends as a sample or as a row in
``DIR/rejects.parquet``. Open the set with ``datasets.load_dataset("parquet", data_dir=DIR)``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cadcoder.errors import CadCoderError, ConfigError
from dataset_build import cluster, inputs, llava, shards
from dataset_build.card import write_card
from dataset_build.guard import Guard, Watch
from dataset_build.heldout import ALIKE
from dataset_build.leaks import Kept, left_out
from dataset_build.parts import Source
from dataset_build.pool import Engine, Pool
from dataset_build.readers.rejects import Reject
from dataset_build.shards import Sample
from dataset_build.versions import commit, versions
from dataset_build.wish import FAMILIES, Wish, read_wish

#: Parts given to a worker at a time: large enough that sending costs nothing, small enough to share fairly.
CHUNK = 50
#: What can do the work.
ENGINES = ("local", "ray")
#: What sets were built with before it could be chosen.
FORMER = {"verify": "fast"}

log = logging.getLogger(__name__)

Report = Callable[[int], None]
#: What makes an engine of (source, workers, images, verify, guard).
Maker = Callable[[Source, int, bool | Wish, str, Guard | None], Engine]


def build_set(
    source: Source,
    out: Path,
    plan: dict[str, Any],
    workers: int = 2,
    shard_size: int = 2000,
    images: bool | Wish = True,
    report: Report = lambda done: None,
    verify: str = "fast",
    watch: Watch | None = None,
    engine: Maker = Pool,
) -> dict[str, Any]:
    """Build or complete a set; return its ``meta.json``.

    Args:
        source: the parts.
        out: the folder; made where absent.
        plan: what decides the content, for ``meta.json``; a build with another plan is not continued.
        workers: number of worker processes.
        shard_size: parts a shard (rejects count as parts, so a shard may hold fewer samples).
        images: whether to draw, or which pictures.
        report: called with the number of parts done, as they are done.
        verify: how scripts are proved, one of :data:`dataset_build.verify.MODES`.
        watch: what to keep out of the set.
        engine: what does the work; it changes no byte.

    Raises:
        ConfigError: if ``out`` holds something else.
    """
    meta = _open(out, plan)
    if meta["complete"]:
        shutil.rmtree(out / ".work", ignore_errors=True)  # a build can be killed between its last two steps
        report(len(source))
        return meta
    guard = watch.guard((out / ".work" / "held_out").absolute()) if watch else None
    seen = Kept(watch.alike) if watch and watch.unique else None
    count = -(-len(source) // shard_size)
    done = 0
    todo = []
    for k in range(count):
        if shards.shard_path(out, k, count).exists():
            done += min((k + 1) * shard_size, len(source)) - k * shard_size
        else:
            todo.append(k)
    report(done)
    spans = {k: range(k * shard_size, min((k + 1) * shard_size, len(source))) for k in todo}
    chunks = (range(i, min(i + CHUNK, s.stop)) for s in spans.values() for i in range(s.start, s.stop, CHUNK))
    samples: list[Sample] = []
    rejects: list[Reject] = []
    with engine(source, workers, images, verify, guard) as pool:
        for chunk, rows in pool.run(chunks):
            k = chunk.start // shard_size
            if seen is not None:
                seen.enter(k, lambda j: shards.shard_path(out, j, count))
                named = zip(chunk, rows, strict=True)
                rows = [r if isinstance(r, Reject) else seen.checked(r, source.name(i)) for i, r in named]
            for row in rows:
                if isinstance(row, Reject):
                    rejects.append(row)
                else:
                    samples.append(row)
            done += len(chunk)
            report(done)
            if chunk.stop == spans[k].stop:
                # The rejects first: a shard that is there is finished, rejects and all.
                shards.save_rejects(_rejects_path(out, k), rejects)
                shards.write_shard(shards.shard_path(out, k, count), samples, images)
                samples, rejects = [], []
    return _finish(out, meta, count, guard)


def _rejects_path(out: Path, k: int) -> Path:
    return out / ".work" / f"rejects-{k:05d}.json"


def _open(out: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Return the folder's ``meta.json``, written now where it is new."""
    path = out / "meta.json"
    if path.exists():
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            held = FORMER | meta["plan"]
            same = held == plan
            differ = sorted(k for k in {*plan, *held} if plan.get(k) != held.get(k))
        except (ValueError, KeyError, TypeError) as e:
            raise ConfigError(f"--out: {path} is not a set's; choose another folder") from e
        if not same:
            raise ConfigError(f"--out: {out} holds another set ({', '.join(differ)} differ); choose another folder")
        now = {"versions": versions(), "git_commit": commit()}
        if not meta["complete"] and any(meta.get(k) != v for k, v in now.items()):
            log.warning("warning: the set was begun by other versions (see %s); its shards may differ in style", path)
        return dict(meta)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ConfigError(f"--out: {out} is not empty and holds no set; choose another folder")
    meta = {"complete": False, "plan": plan, "versions": versions(), "git_commit": commit()}
    shards.write_json(path, meta)
    return meta


def _finish(out: Path, meta: dict[str, Any], count: int, guard: Guard | None = None) -> dict[str, Any]:
    paths = [shards.shard_path(out, k, count) for k in range(count)]
    rejects = [r for k in range(count) for r in shards.load_rejects(_rejects_path(out, k))]
    rows = [shards.count_rows(p) for p in paths]
    shards.write_rejects(out / "rejects.parquet", rejects)
    meta = meta | {
        "complete": True,
        "samples": sum(rows),
        "shards": {p.name: n for p, n in zip(paths, rows, strict=True)},
        "rejects": dict(sorted(Counter(r.reason.value for r in rejects).items())),
    }
    if guard is not None:
        shards.write_json(out / "leaks.json", left_out(rejects, guard))
    write_card(out, meta)
    shards.write_json(out / "meta.json", meta)
    shutil.rmtree(out / ".work")
    return meta


def reporter(total: int, quiet: bool) -> tuple[Report, Callable[[], None]]:
    """Return (report, close): a progress bar with rate and time left, silent where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return (lambda done: None), (lambda: None)
    rate = TextColumn("{task.fields[rate]}")
    progress = Progress(BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(), console=console)
    task = progress.add_task("", total=total, rate="")
    progress.start()
    began: list[tuple[float, int]] = []

    def report(done: int) -> None:
        now = time.monotonic()
        began.append((now, done)) if not began else None
        elapsed = now - began[0][0]
        text = f"{(done - began[0][1]) / elapsed:.0f}/s" if elapsed > 1 else ""
        progress.update(task, completed=done, rate=text)

    return report, progress.stop


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dataset_build.build", description=description)
    inputs.add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the set")
    parser.add_argument("--engine", default="local", help="what does the work: local | ray (local)")
    parser.add_argument("--ray-address", help="host:port of a Ray cluster, or auto; else RAY_ADDRESS, or Ray just here")
    parser.add_argument("--workers", type=int, help="processes (all cores, of this machine or of the cluster)")
    parser.add_argument("--shard-size", type=int, default=2000, help="parts a shard (2000)")
    parser.add_argument("--pictures", default="gencad", help=f"{' | '.join(FAMILIES)} | none, or several (gencad)")
    parser.add_argument("--maps", default="", help="beside them: depth,normal,mask")
    parser.add_argument("--no-images", action="store_true", help="the same as --pictures none")
    parser.add_argument("--exclude", type=Path, action="append", default=[], help="held-out parts: a folder or a set")
    parser.add_argument("--split-file", type=Path, help="DeepCAD's train_val_test_split.json, to take --split of")
    parser.add_argument("--drop-duplicates", action="store_true", help="leave out what is in the set already")
    parser.add_argument("--alike", type=float, default=ALIKE, help=f"IoU from which on two parts are one ({ALIKE})")
    parser.add_argument("--llava", type=Path, metavar="DIR", help="at the end, write it for LLaVA's trainers as well")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    a = _arguments(argv)
    try:
        faults = [
            f"--{n}: {v} is not a positive number"
            for n, v in (("workers", a.workers), ("shard-size", a.shard_size))
            if v is not None and v < 1
        ]
        if a.engine not in ENGINES:
            faults.append(f"--engine: {a.engine!r} is not one of {', '.join(ENGINES)}")
        if a.ray_address is not None and a.engine != "ray":
            faults.append("--ray-address: only --engine ray goes to a cluster")
        if faults:
            raise ConfigError("; ".join(faults))
        wish = read_wish("none" if a.no_images else a.pictures, a.maps, a.seed)
        source, plan = inputs.source_of(a)
        plan |= {"shard_size": a.shard_size, "images": bool(wish)}
        if wish and not wish.plain():
            plan |= {"pictures": list(wish.families), "maps": list(wish.maps), "pictures_seed": wish.seed}
        watch = Watch(tuple(a.exclude), a.alike, a.split_file, a.split if a.split_file else None, a.drop_duplicates)
        plan |= watch.plan()
        if a.engine == "ray":
            engine: Maker = partial(cluster.RayPool, address=cluster.found(a.ray_address), needs=inputs.paths_of(a))
            workers = a.workers or 0
        else:
            engine, workers = Pool, a.workers or len(os.sched_getaffinity(0))
        report, close = reporter(len(source), a.quiet)
        began = time.monotonic()
        try:
            meta = build_set(source, a.out, plan, workers, a.shard_size, wish, report, a.verify, watch, engine)
        finally:
            close()
        if a.llava is not None:
            llava.convert(a.out, a.llava, llava.PROMPT.read_text(encoding="utf-8").strip())
    except CadCoderError as e:
        sys.stderr.write(f"error: {e}\n")
        return e.exit_code
    except OSError as e:
        sys.stderr.write(f"error: {a.out} cannot be written: {e.strerror or e}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on from here\n")
        return 130
    if not a.quiet:
        seconds = time.monotonic() - began
        rejected = sum(meta["rejects"].values())
        sys.stderr.write(f"{meta['samples']} samples and {rejected} rejects in {a.out} ({seconds:.1f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
