"""Damaged inputs by the hundred thousand: every one of them must end as a program or as a reject.

    python -m benchmarks.fuzz [--reader NAME ...] [--count 100000] [--seed 0] [--through 200]

Valid inputs made here are damaged by a seed: JSON and arrays in their structure (values replaced, dropped, repeated,
made huge), and every format byte by byte (flipped, cut, doubled, spliced, lengths set to extremes). The reader works in
a process that may die. Counted are programs, rejects by reason, refusals in one line (an archive that cannot be
listed), and what must not be: exceptions that nobody declares, processes that died, inputs that took over ten seconds
of processor time (two minutes by the clock).
A run that is interrupted prints what it has counted by then.
Every ``--through``-th program goes on through the whole of a build but for its pictures. Prints a table in Markdown;
exit code 1 where anything is counted that must not be.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fuzz_inputs import MAKERS
from cadcoder.errors import CadCoderError
from dataset_build.make import make
from dataset_build.parts import Part
from dataset_build.readers.rejects import Reason, Refused, Reject

#: Processor seconds, and seconds by the clock, after which an input counts as one that never ends.
PATIENCE, WAIT = 10, 120
#: What an input can end as.
WANTED = ("program", "script kept", "refused in one line", *(r.value for r in Reason if r.value != "internal"))
FAULTS = ("internal", "exception", "died", "timed out")
ENDS = (*WANTED, *FAULTS)


def ends_of(parts: list[Part | Reject], through: bool) -> list[str]:
    """Return what parts end as."""
    ends = []
    for part in parts:
        row = part
        if isinstance(part, Part) and through and part.program is not None:
            made = make(part, "fuzz", images=False)
            row = made if isinstance(made, Reject) else part
        if isinstance(row, Reject):
            ends.append(row.reason.value)
        else:
            ends.append("program" if row.program is not None else "script kept")
    return ends


def work(reader: str, first: int, last: int, seed: int, through: int, counts: Any, at: Any, folder: str) -> None:
    """Feed inputs ``first`` to ``last`` to a reader; counts and place are shared with the parent."""
    for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    feed: Callable[[random.Random, Path], list[Part | Reject]] = MAKERS[reader](Path(folder))
    done = 0
    for i in range(first, last):
        at.value = i
        signal.alarm(WAIT)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            ends = ends_of(feed(random.Random(f"{seed}/{reader}/{i}"), Path(folder)), False)
            done += ends.count("program")
            if through and done >= through and "program" in ends:
                done = 0
                ends = ends_of(feed(random.Random(f"{seed}/{reader}/{i}"), Path(folder)), True)
        except Refused as e:
            ends = [e.reason.value]
        except CadCoderError as e:
            ends = ["refused in one line" if "\n" not in str(e) else "exception"]
        except BaseException as e:
            sys.stderr.write(f"{reader} input {i}: {type(e).__name__}: {e}\n")
            ends = ["exception"]
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for end in ends:
            counts[ENDS.index(end)] += 1


def fuzz(reader: str, count: int, seed: int, through: int) -> tuple[Counter[str], int, float]:
    """Return what became of the inputs, how many there were, and the processor seconds that it took.

    They are ``count``, or fewer where it is interrupted.
    """
    context = multiprocessing.get_context("fork")
    counts, at = context.Array("q", len(ENDS), lock=False), context.Value("q", 0, lock=False)
    extra: Counter[str] = Counter()
    before = os.times()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        first = 0
        while first < count:
            arguments = (reader, first, count, seed, through, counts, at, folder)
            process = context.Process(target=work, args=arguments)
            process.start()
            try:
                process.join()
            except KeyboardInterrupt:
                process.kill()
                process.join()
                count = at.value
                break
            if process.exitcode == 0:
                break
            end = "timed out" if process.exitcode in (-signal.SIGALRM, -signal.SIGPROF) else "died"
            sys.stderr.write(f"{reader} input {at.value}: {end} (exit code {process.exitcode})\n")
            extra[end] += 1
            first = at.value + 1
    after = os.times()
    seconds = sum(after[:4]) - sum(before[:4])
    found = Counter({name: n for name, n in zip(ENDS, counts, strict=True) if n})
    return found + extra, count, seconds


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--reader", action="append", choices=sorted(MAKERS), help="one or more (all)")
    parser.add_argument("--count", type=int, default=100_000, help="inputs a reader (100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--through", type=int, default=200, help="every so many programs, one goes on (200; 0: none)")
    a = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    print("| reader | inputs | programs | rejects by reason | faults | processor seconds |\n|---|---|---|---|---|---|")
    bad = 0
    for reader in a.reader or MAKERS:
        began = time.monotonic()
        found, count, seconds = fuzz(reader, a.count, a.seed, a.through)
        faults = {k: found[k] for k in FAULTS if found[k]}
        bad += sum(faults.values())
        kept = found["program"] + found["script kept"]
        rest = ", ".join(f"{k} {n}" for k, n in found.most_common() if k not in (*FAULTS, "program", "script kept"))
        told = ", ".join(f"{k} {n}" for k, n in faults.items()) or "none"
        print(f"| {reader} | {count} | {kept} | {rest} | {told} | {seconds:.0f} |", flush=True)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{reader}: {time.monotonic() - began:.0f} s\n")
        if count < a.count:
            break
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
