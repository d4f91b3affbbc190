"""Everything that an air-gapped machine has to do, in pieces: the same command again goes on.

``python -m train.offline.fire --work /tmp/offline --out DIR --minutes 9 [key=value ...]``

A process of its own builds meshes; meanwhile, as soon as there are enough, the recipe is trained on pictures drawn from
them. When the time is up the state stays in the work folder, and what there is so far goes to ``--out`` in parts; when
the recipe is done, the model is evaluated before that. Exit code 0: done; 75: to be continued.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from cadcoder.errors import CadCoderError, ConfigError
from train.config import OutOfTime, Recipe, load_recipe
from train.loop import say
from train.offline.meshes import SHARD, shard_files
from train.offline.results import MIB, results, snapshot


class Tee:
    """A stream that is also written to a file."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        """Append to the file at ``path``."""
        self._stream, self._file = stream, path.open("a", encoding="utf-8")

    def write(self, text: str) -> int:
        """Write to both."""
        self._file.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush both."""
        self._file.flush()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    a = _arguments(argv)
    began = time.monotonic()
    a.work.mkdir(parents=True, exist_ok=True)
    if not a.worker:  # whose stderr is the log already
        sys.stderr = Tee(sys.stderr, a.work / "log.txt")  # type: ignore[assignment]
    try:
        if a.detach and not a.worker:
            return follow(a, sys.argv[1:] if argv is None else argv, began)
        return fire(a, began)
    except CadCoderError as error:
        say(f"error: {error}")
        return error.exit_code
    finally:
        sys.stderr.flush()


def fire(a: argparse.Namespace, began: float) -> int:
    """Do one piece of the work; return the exit code."""
    recipe = _recipe(a)
    deadline = float("inf") if a.worker else began + 60 * a.minutes - a.reserve
    builder = _build(a)
    _wait_for_meshes(a, builder, deadline)
    report = _read_report(a.work)
    report["machine"] = _machine(recipe)

    from train.offline.pool import MeshSource
    from train.run import train

    source = MeshSource(recipe)
    if a.measure and "rates" not in report:
        _measure(recipe, source, report, a.work)
    state = "done"
    try:
        folder = train(recipe, source, deadline)
        _stop(builder)
        if report.get("evaluated") != _stages(recipe):
            if time.monotonic() > deadline - a.evaluation:
                raise OutOfTime("trained; the evaluation is left")
            _evaluate(recipe, source, folder, report, a.evaluate)
            report["evaluated"] = _stages(recipe)
    except OutOfTime as stop:
        state = str(stop)
    report |= {"state": state, "stages": _stages(recipe), "meshes": len(shard_files(a.work / "meshes"))}
    _write_report(a.work, report)
    return 0 if a.worker else _end(a, state)


def follow(a: argparse.Namespace, argv: list[str], began: float) -> int:
    """Start a process that trains on when this one has ended, or find it; show its log until the time is up.

    Raises:
        ConfigError: if it fails.
    """
    deadline = began + 60 * a.minutes - a.reserve
    recipe = _recipe(a)
    log, note = a.work / "worker.log", a.work / "worker.pid"
    shown = log.stat().st_size if log.exists() else 0
    number = _running(note, "--worker")
    if number is None:
        command = [sys.executable, "-m", "train.offline.fire", *argv, "--worker"]
        with log.open("a") as out:
            number = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            ).pid
        note.write_text(str(number))
        say(f"training goes on in process {number}")
    ended = False
    while not ended and time.monotonic() < deadline:
        ended = _ended(number)
        with log.open(encoding="utf-8", errors="replace") as lines:
            lines.seek(shown)
            sys.stderr.write(lines.read())
            shown = lines.tell()
        sys.stderr.flush()
        time.sleep(0.0 if ended else 0.5)
    state = str(_read_report(a.work).get("state", "begun")) if ended else "training goes on"
    if ended and state != "done":
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        _end(a, state)
        raise ConfigError(f"training ended early: {' '.join(last)}; the same command goes on from the last checkpoint")
    if not ended:
        snapshot(recipe)
    return _end(a, state)


def _end(a: argparse.Namespace, state: str) -> int:
    """Write the results; return the exit code."""
    sys.stderr.flush()
    results(a.work, a.out, int(a.part_size * MIB), a.files, int(a.total * MIB))
    say(f"fire: {state}" + ("" if state == "done" else "; give the same command again"))
    return 0 if state == "done" else OutOfTime.exit_code


def _recipe(a: argparse.Namespace) -> Recipe:
    return load_recipe(a.config, [f"out={a.work / 'run'}", f"data.shards={a.work / 'meshes'}", *a.overrides])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m train.offline.fire", description=description)
    parser.add_argument("--config", default="train/configs/gpu.yaml", help="recipe (%(default)s)")
    parser.add_argument("--work", type=Path, required=True, help="folder that stays between the pieces")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is to be carried back")
    parser.add_argument("--minutes", type=float, default=9.0, help="length of this piece (%(default)s)")
    parser.add_argument("--reserve", type=float, default=20.0, help="seconds of it kept for the end (%(default)s)")
    parser.add_argument("--parts", type=int, default=800_000, help="parts to build (%(default)s)")
    parser.add_argument("--shard", type=int, default=SHARD, help="parts a shard (%(default)s)")
    parser.add_argument("--first", type=int, default=8, help="shards that training waits for (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the parts (%(default)s)")
    workers = max(1, len(os.sched_getaffinity(0)) - 2)
    parser.add_argument("--workers", type=int, default=workers, help="processes that build (all cores but two)")
    parser.add_argument("--part-size", type=float, default=15.0, help="most MiB of a file in --out (%(default)s)")
    parser.add_argument("--files", type=int, default=8, help="most files in --out (%(default)s)")
    parser.add_argument("--total", type=float, default=62.0, help="most MiB in --out (%(default)s)")
    parser.add_argument("--evaluate", type=int, default=256, help="held-out parts a family (%(default)s)")
    parser.add_argument("--evaluation", type=float, default=75.0, help="seconds that it needs (%(default)s)")
    parser.add_argument("--measure", action=argparse.BooleanOptionalAction, default=True, help="measure the machine")
    parser.add_argument("--detach", action="store_true", help="train in a process that goes on between the pieces")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the recipe")
    return parser.parse_args(argv)


def _build(a: argparse.Namespace) -> int | None:
    """Start the process that builds meshes, unless it runs or is done; return its id."""
    note = a.work / "builder.pid"
    if len(shard_files(a.work / "meshes")) >= -(-a.parts // a.shard):
        return None
    number = _running(note, "train.offline.meshes")
    if number is not None:
        return number
    command = [sys.executable, "-m", "train.offline.meshes", "--out", str(a.work / "meshes"), "--parts", str(a.parts)]
    command += ["--seed", str(a.seed), "--workers", str(a.workers), "--shard", str(a.shard)]
    with (a.work / "build.log").open("a") as log:
        # A session of its own: it goes on between the pieces where the machine lets it.
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    note.write_text(str(process.pid))
    say(f"meshes: {a.parts:,} parts by {a.workers} processes")
    return process.pid


def _wait_for_meshes(a: argparse.Namespace, builder: int | None, deadline: float) -> None:
    folder = a.work / "meshes"
    wanted = min(a.first, -(-a.parts // a.shard))
    while len(shard_files(folder)) < wanted:
        gone = builder is not None and _ended(builder)
        if gone and len(shard_files(folder)) < wanted:
            end = (a.work / "build.log").read_text().strip().splitlines()[-1:]
            raise ConfigError(f"the meshes could not be built: {' '.join(end) or 'no message'}")
        if time.monotonic() > deadline:
            raise ConfigError(f"only {len(shard_files(folder))} of {wanted} first shards in time; lower --first")
        time.sleep(0.1)
    say(f"meshes: {len(shard_files(folder))} shards are there")


def _running(note: Path, word: str) -> int | None:
    """Return the id of the process that a note names, if it runs and its command has the word in it."""
    try:
        number = int(note.read_text())
        return number if word in Path(f"/proc/{number}/cmdline").read_text().split("\0") else None
    except (OSError, ValueError):
        return None


def _ended(number: int) -> bool:
    try:
        return os.waitpid(number, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        pass
    try:
        return not Path(f"/proc/{number}/cmdline").read_bytes()  # empty where it has ended and nobody has looked
    except OSError:
        return True


def _stop(builder: int | None) -> None:
    """End the builder; its workers follow it."""
    if builder is not None and not _ended(builder):
        os.kill(builder, 15)


def _measure(recipe: Recipe, source: Any, report: dict[str, Any], work: Path) -> None:
    """Note the two numbers (operations, floor) and the machine's rates."""
    import torch

    from train.offline.measure import ceilings, drawing_rates, operations, same_on_both
    from train.offline.store import Store
    from train.tune import pick_device

    device = pick_device(recipe.device)
    found = ceilings(device)
    each = operations(recipe.model)
    total = sum(each.values())
    store = Store(source.folder, lambda texts: [[0]] * len(texts), 1, 0, torch.device(device))
    store.refresh([shard_files(source.folder)[0].name])
    same = same_on_both(store, min(8, len(store.usable)), recipe.drawn.canvas)
    rates = drawing_rates(recipe, store, min(recipe.drawn.chunk, len(store.usable)))
    report["rates"] = {**found, "operations_per_sample": total, "pictures_per_second": rates, "same_on_both": same}
    report["rates"]["samples_per_second_at_most"] = found["operations_per_second"] / total
    _write_report(work, report)
    say(
        f"measured: copy {found['bytes_per_second'] / 1e9:.0f} GB/s, bf16 {found['operations_per_second'] / 1e12:.1f} "
        f"TFLOP/s; {total / 1e9:.2f} GFLOP a sample, so at most {found['operations_per_second'] / total:,.0f} samples/s"
    )
    figures = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    say(f"measured: {100 * same:.3f} % of pixels as a CPU draws them; pictures/s: {figures}")


def _evaluate(recipe: Recipe, source: Any, folder: Path, report: dict[str, Any], parts: int) -> None:
    from train.offline.evaluate import evaluate, load_answers
    from train.tune import pick_device

    device = pick_device(recipe.device)
    answers, tokenizer = load_answers(folder, device)
    pool = source.pool("stage2", recipe.seed, recipe.stage2, tokenizer, device)
    report["held_out"] = evaluate(recipe, answers, pool, tokenizer, parts)
    for name, row in report["held_out"].items():
        say(f"held out, {name}: valid {row['valid']:.3f}, IoU {row['iou_best']:.3f} +- {row['error']:.3f}")


def _stages(recipe: Recipe) -> dict[str, Any]:
    done = {}
    for path in sorted(Path(recipe.out).glob("*/done.json")):
        done[path.parent.name] = json.loads(path.read_text())
    return done


def _machine(recipe: Recipe) -> dict[str, Any]:
    import numpy
    import torch
    import transformers

    from train.tune import pick_device

    device = pick_device(recipe.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    say(f"on {name}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}")
    return {"device": name, "cores": len(os.sched_getaffinity(0)), **versions, "transformers": transformers.__version__}


def _read_report(work: Path) -> dict[str, Any]:
    path = work / "report.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write_report(work: Path, report: dict[str, Any]) -> None:
    partial = work / "report.json.partial"
    partial.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    os.replace(partial, work / "report.json")


if __name__ == "__main__":
    raise SystemExit(main())
