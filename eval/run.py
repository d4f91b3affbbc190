"""A run of the benchmark, from the plan to the reports."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadcoder.errors import CadCoderError, ConfigError
from eval.answers import Answerer
from eval.baselines import Box, Nearest
from eval.cache import Cache
from eval.calls import Caller, Ledger, read_ledger
from eval.hosted import Hosted
from eval.money import Budget, dollars, estimate, price_of
from eval.prompting import Prompt, read_prompt
from eval.rowfile import RowFile
from eval.scores import Scorer, head, row_key
from eval.specs import Spec, read_specs
from eval.stored import Stored, repeats_of, write_cadbench
from eval.suites import Item, Suite, read_suite
from eval.teller import Teller, asking

if TYPE_CHECKING:
    pass

#: Seconds and megabytes that one script may take.
TIMEOUT, MEMORY_MB = 20.0, 2048


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command line asks for; see :mod:`eval.benchmark`."""

    suite: str
    out: Path
    models: tuple[str, ...] = ()
    stored: tuple[Path, ...] = ()
    data: Path | None = None
    prompt: str = "paper-plus"
    budget: Decimal | None = None
    budget_said: bool = False
    estimate_only: bool = False
    repeats: int = 1
    limit: int | None = None
    count: int | None = None
    seed: int | None = None
    protocol: str | None = None
    cache: Path | None = None
    cadbench: Path | None = None
    gallery: int = 200
    workers: int = 2


@dataclass(frozen=True)
class Job:
    """One model's (and repeat's) parts that have no row yet."""

    spec: Spec
    prompt: Prompt | None
    repeat: int
    items: tuple[Item, ...]
    heads: dict[str, dict[str, Any]]
    folder: Path | None = None


def carry_out(plan: Plan) -> int:
    """Do what a plan asks for; return the exit code: 0, or 1 where parts are without a row.

    Raises:
        CadCoderError: if it cannot be done.
    """
    _checked(plan)
    specs = read_specs(plan.models)
    prompts = {s.label: read_prompt(s.get("prompt", plan.prompt)) for s in specs if s.kind == "hosted"}
    for spec in specs:
        if spec.kind == "hosted" and not plan.estimate_only:
            spec.key()
    changes = {name: value for name, value in (("count", plan.count), ("seed", plan.seed)) if value is not None}
    suite = read_suite(plan.suite, plan.data, plan.out / "parts", plan.limit, changes)
    with ExitStack() as stack:
        rows = RowFile(plan.out, {"suite": suite.name, "measure": suite.measure})
        stack.callback(rows.close)
        jobs, total = _jobs(plan, suite, specs, prompts, rows)
        cache = Cache(plan.cache or plan.out / "answers")
        spent = sum((dollars(found.get("cost")) for found in cache), Decimal(0))
        _estimate(plan, suite, jobs, total, spent)
        if plan.estimate_only:
            return 0
        budget = Budget(plan.budget, spent)
        if any(job.items for job in jobs):
            _work(plan, suite, jobs, rows, cache, budget)
        complete = _closing(plan, suite, jobs, rows, budget)
    return 0 if complete else 1


def _checked(plan: Plan) -> None:
    faults = []
    if not plan.models and not plan.stored:
        faults.append("name at least one --model (or --answers)")
    for name in ("repeats", "limit", "count", "workers"):
        value = getattr(plan, name)
        if value is not None and value < 1:
            faults.append(f"--{name} must be at least 1, not {value}")
    if plan.gallery < 0:
        faults.append("--gallery must not be negative")
    if faults:
        raise ConfigError("; ".join(faults))


def _jobs(
    plan: Plan, suite: Suite, specs: Sequence[Spec], prompts: dict[str, Prompt], rows: RowFile
) -> tuple[list[Job], int]:
    """Return what is left to do, and how many rows there will be."""
    asked: list[tuple[Spec, int, Path | None]] = []
    for spec in specs:
        asked += [(spec, repeat, None) for repeat in range(plan.repeats if spec.kind == "hosted" else 1)]
    for place in plan.stored:
        if not place.is_dir():
            raise ConfigError(f"--answers {place}: there is no such folder")
        name = place.resolve().name
        asked += [(Spec(str(place), "baseline", "", f"answers:{name}", {}, name), r, place) for r in repeats_of(place)]
    jobs, total = [], 0
    for spec, repeat, folder in asked:
        prompt = prompts.get(spec.label)
        heads = {}
        for item in suite.items:
            key = row_key(suite, item, spec, prompt, repeat, plan.protocol)
            heads[item.name] = head(item, spec, prompt, repeat, key)
        items = tuple(item for item in suite.items if heads[item.name]["key"] not in rows.rows)
        total += len(suite.items)
        jobs.append(Job(spec, prompt, repeat, items, heads, folder))
    return jobs, total


def _estimate(plan: Plan, suite: Suite, jobs: Sequence[Job], total: int, spent: Decimal) -> None:
    """Say what it will take; stop where money would be spent without a word on how much.

    Raises:
        ConfigError: if a budget is needed, or cannot be held.
    """
    left = sum(len(job.items) for job in jobs)
    _say(f"{suite.name}: {len(suite.items)} parts, {total} rows, of which {total - left} are there")
    likely, paid = Decimal(0), False
    for job in jobs:
        if job.spec.kind != "hosted" or job.prompt is None or not job.items:
            continue
        later = [suite.turns[g].user for g in job.items[0].turns] if suite.turns else []
        shown = sum(len(item.pictures) for item in job.items) / len(job.items)
        found = estimate(job.spec, job.prompt, later, len(job.items), shown)
        _say("  " + found.line())
        price = price_of(job.spec)
        paid = paid or not price.free
        likely += found.dollars[0] or Decimal(0)
        if not price.known and plan.budget is not None:
            raise ConfigError(
                f"--budget cannot be held for {job.spec.label}: give its price, {job.spec.text},price=IN/OUT"
            )
    if spent:
        _say(f"  ${spent:.4f} was spent here before")
    if paid and not plan.budget_said and not plan.estimate_only:
        raise ConfigError(f"this will cost about ${likely:.2f}; say how much may be spent: --budget DOLLARS, or none")


def _work(plan: Plan, suite: Suite, jobs: Sequence[Job], rows: RowFile, cache: Cache, budget: Budget) -> None:
    """Ask, run and measure until every part has a row, or the budget or the person ends it."""
    from cadcoder.sandbox import Executor
    from eval.drawing import Studio

    with ExitStack() as stack:
        executor = stack.enter_context(Executor(plan.workers, TIMEOUT, MEMORY_MB, many=True))
        studio = Studio(executor)
        stack.callback(studio.close)
        protocol = None
        if plan.protocol:
            from cadcoder.scoring import Published

            protocol = stack.enter_context(Published(plan.protocol, executor, plan.workers))
        meshes = plan.out / "meshes"
        meshes.mkdir(exist_ok=True)
        scorer = Scorer(suite, executor, meshes if plan.gallery else None, protocol)
        ledger = Ledger(plan.out / "calls.jsonl")
        stack.callback(ledger.close)
        lock = stack.enter_context(asking(cache.folder))
        callers: list[Caller] = []

        def answerer(job: Job) -> Answerer:
            if job.folder is not None:
                return Stored(job.folder, job.repeat)
            if job.spec.kind == "hosted":
                assert job.prompt is not None
                caller = Caller(job.spec, lambda: Teller(job.spec, cache.folder, lock), cache, budget, ledger)
                callers.append(caller)
                return Hosted(caller, job.prompt, suite.turns or {}, studio, job.repeat)
            if job.spec.kind == "baseline":
                return Box() if job.spec.name == "box" else Nearest()
            from eval.local import Local

            return Local(job.spec, executor)

        shown = _Progress(sum(len(job.items) for job in jobs), budget)
        pool = stack.enter_context(ThreadPoolExecutor(plan.workers, thread_name_prefix="cadcoder-score"))
        faults: list[BaseException] = []
        slots = threading.Semaphore(4 * plan.workers)
        stopping = threading.Event()

        def finished(future: Future[Any]) -> None:
            slots.release()
            try:
                rows.add(future.result())
                shown.step()
            except BaseException as error:
                faults.append(error)

        def carry(job: Job) -> None:
            try:
                source = answerer(job)
                try:
                    for item, answer in source.answers(job.items):
                        slots.acquire()
                        pool.submit(scorer.row, item, job.heads[item.name], answer).add_done_callback(finished)
                        if stopping.is_set():
                            break
                finally:
                    source.close()
            except BaseException as error:
                faults.append(error)

        # Models behind an API wait for their providers side by side; those of this machine share its processor.
        threads = [
            threading.Thread(target=carry, args=(job,)) for job in jobs if job.items and job.spec.kind == "hosted"
        ]
        with _Interruptible():
            try:
                for thread in threads:
                    thread.start()
                for job in jobs:
                    if job.items and job.spec.kind != "hosted":
                        carry(job)
                        if faults and isinstance(faults[-1], KeyboardInterrupt):
                            raise faults[-1]
                for thread in threads:
                    while thread.is_alive():
                        thread.join(0.2)
            except KeyboardInterrupt:
                stopping.set()
                _say("ending: no further call is made; answers under way are waited for and kept")
                for caller in callers:
                    caller.stop()
                for thread in threads:
                    thread.join()
                raise
            finally:
                pool.shutdown(wait=True)
                shown.close()
    # A key that is refused ends its model alone; the others' rows are there, and the fault is told at the end.
    for fault in faults:
        if not isinstance(fault, CadCoderError):
            raise fault
    for text in dict.fromkeys(str(fault) for fault in faults):
        _say(f"error: {text}")


def _closing(plan: Plan, suite: Suite, jobs: Sequence[Job], rows: RowFile, budget: Budget) -> bool:
    """Write the reports; return whether every part has a row."""
    from eval.report import write_reports

    found = list(rows.rows.values())
    missing = sum(head["key"] not in rows.rows for job in jobs for head in job.heads.values())
    if plan.cadbench is not None:
        write_cadbench(found, suite.modality, suite.name, plan.cadbench)
    if found:
        write_reports(found, suite, plan.out, plan.gallery, _ledger(plan))
        _say(f"written: {plan.out}/report.html, report.md, report.tex ({len(found)} rows)")
    if budget.spent:
        _say(f"${budget.spent:.4f} was spent here altogether")
    if missing:
        why = "the budget is spent" if budget.stopped else "they could not be answered"
        _say(f"{missing} parts have no row: {why}; the same command goes on from here")
    return not missing


def _ledger(plan: Plan) -> dict[str, int]:
    return read_ledger(plan.out / "calls.jsonl", Cache(plan.cache or plan.out / "answers"))


class _Progress:
    """How far a run is, on a terminal's last line."""

    def __init__(self, total: int, budget: Budget) -> None:
        self.total, self.done, self.budget = total, 0, budget
        self.start, self.said = time.monotonic(), 0.0
        self.here = sys.stderr.isatty()

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if self.here and (now - self.said > 0.5 or self.done == self.total):
            self.said = now
            rate = self.done / max(1e-9, now - self.start)
            left = (self.total - self.done) / max(rate, 1e-9)
            text = f"\r{self.done} of {self.total} rows, {rate:.1f} a second, {left:.0f} s left"
            print(f"{text}, ${self.budget.spent:.4f}  ", end="", file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        if self.here:
            print(file=sys.stderr)  # noqa: T201


class _Interruptible:
    """Takes SIGTERM for an interrupt, so that answers under way are kept."""

    def __enter__(self) -> None:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
