"""The build's pool on the nodes of a Ray cluster: ``--engine ray [--ray-address ADDRESS]`` (``cadcoder[cluster]``).

A Ray task is one chunk of parts. It makes nothing itself but hands the chunk to a worker process beside it, that of
:mod:`dataset_build.pool`. So what a part does to its worker ends as the same reject as on one machine, and whatever
happens to the task itself (its node is lost, or killed, or short of memory) is the machine's doing, and the chunk is
sent again. A chunk's rows hang on nothing but its numbers, so it makes no difference where it is done, or how often.

Chunks are taken in their order, and only so many are sent ahead; what is done before its turn waits in the memory of
its node. The code travels with the job. Inputs do not: every node must have them under the same path, and the same
versions of the packages that decide the bytes; a node on which either is otherwise ends the build with one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import socket
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cadcoder
from cadcoder.errors import CadCoderError, ConfigError, MissingDependency
from dataset_build.guard import Guard
from dataset_build.parts import Source
from dataset_build.pool import Pool, Row
from dataset_build.versions import fingerprint
from dataset_build.wish import Wish

#: Seconds that a cluster has to answer, first to a knock at its port and then as Ray.
KNOCK, ANSWER = 10.0, 60.0
#: Chunks sent ahead of the one whose turn it is, by processor.
AHEAD = 4
#: Seconds without any result after which a warning is given, and after which the nodes are counted again.
STALL, RECOUNT = 60.0, 5.0
#: A chunk whose task was lost so often ends the build. Waiting grows to half a minute between the last of them.
TRIES = 10
#: What of the code no node needs.
EXCLUDED = ["model/default", "__pycache__"]

log = logging.getLogger(__name__)

#: What a chunk's task needs to know, kept by each of Ray's processes: (key, the worker beside it).
_kept: tuple[str, Pool] | None = None


@dataclass(frozen=True)
class Job:
    """What the nodes need to know of a build; sent once to each process.

    Attributes:
        source: the parts.
        images: which pictures to draw.
        verify: how scripts are proved.
        guard: what keeps parts out.
        versions: :func:`dataset_build.versions.fingerprint` of what decides the bytes.
        stamps: of each path that must be there: what :func:`stamp` says of it.
    """

    source: Source
    images: bool | Wish
    verify: str
    guard: Guard | None
    versions: dict[str, str]
    stamps: dict[str, str]

    def fault(self, here: dict[str, str]) -> str | None:
        """Return in one line why this machine cannot take part, or None; ``here`` are its versions."""
        differ = [f"{k} {here.get(k)} (not {v})" for k, v in self.versions.items() if here.get(k) != v]
        if differ:
            return f"has {', '.join(differ)}; have the same on every node"
        for path, stamped in self.stamps.items():
            found = stamp(Path(path))
            if found != stamped:
                what = "another" if found else "no"
                return f"has {what} {path}; inputs must be on every node, best on a file system that all share"
        return None


@dataclass
class _Sent:
    """A chunk on its way: whether it worked, and its rows, as Ray's references."""

    chunk: range
    flag: Any
    rows: Any
    tries: int = 1
    done: bool = False


def found(address: str | None) -> str:
    """Return where Ray is to be found: an address that answers, or ``local`` for one that is started here.

    Args:
        address: ``host:port``, ``auto`` for the cluster that this machine is in, or ``local``; None for what
            ``RAY_ADDRESS`` says, else ``local``.

    Raises:
        MissingDependency: without Ray.
        ConfigError: if nothing answers, or nothing that this Ray can speak to.
    """
    _ray()
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    if where == "local":
        return where
    host, _, port = where.rpartition(":")
    if where != "auto":
        if "//" in where:
            raise ConfigError(
                f"--ray-address: {where}: start this on a node of the cluster, and name HOST:PORT or auto"
            )
        if not (host and port.isdigit()):
            raise ConfigError(f"--ray-address: {where!r} is not HOST:PORT, auto or local")
        try:
            socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
        except (OSError, OverflowError) as e:
            why = getattr(e, "strerror", None) or e
            raise ConfigError(f"--ray-address: nothing answers at {where} ({why}); is the cluster up?") from e
    # In a process that can be given up: Ray itself tries for minutes, and ends the process that it is in.
    probe = f"from dataset_build.cluster import _init\n_init({where!r})"
    run = [sys.executable, "-c", probe]
    path = os.pathsep.join(p for p in (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")) if p)
    environment = os.environ | {"PYTHONPATH": path}
    try:
        done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=ANSWER, check=False)
    except subprocess.TimeoutExpired as e:
        raise ConfigError(f"--ray-address: what is at {where} did not answer as Ray in {ANSWER:.0f} s") from e
    if done.returncode != 0:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        if "InvalidAuthToken" in done.stderr:
            said = "it wants another token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        raise ConfigError(f"--ray-address: no Ray to be reached at {where}: {said[:300]}")
    return where


def _ray() -> Any:
    # Whoever runs a cluster decides what it reports; one that is started for a build reports nothing.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as e:
        raise MissingDependency("--engine ray: Ray is not installed; pip install 'cadcoder[cluster]'") from e
    return ray


def _init(address: str, workers: int = 0, code: bool = False) -> None:
    """Connect this process; with ``code`` the nodes get this code."""
    ray = _ray()
    more: dict[str, Any] = {}
    if address == "local":
        more = {"num_cpus": workers or len(os.sched_getaffinity(0)), "include_dashboard": False}
    if code:
        packages = [str(Path(__file__).parent), str(Path(cadcoder.__file__).parent)]
        more["runtime_env"] = {"py_modules": packages, "excludes": EXCLUDED}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **more)


def stamp(path: Path) -> str:
    """Return what tells whether a path is the same on another machine; nothing where it is not there.

    Of a file that is its size and its beginning, of a folder its first names and sizes.
    """
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                names = sorted(e.name for e in entries)
            sizes = [os.stat(path / n).st_size for n in names[:100] if not (path / n).is_dir()]
            text = "\n".join([str(len(names)), *names[:1000], *map(str, sizes)])
            return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        with path.open("rb") as file:
            return f"{path.stat().st_size} {hashlib.sha256(file.read(1 << 16)).hexdigest()}"
    except OSError:
        return ""


def _beside(job: Any, key: str) -> Pool:
    """Return the worker beside this process of Ray's; started with the first chunk of a build.

    Raises:
        ConfigError: if this machine cannot take part.
    """
    global _kept
    if _kept is None or _kept[0] != key:
        if _kept is not None:
            _kept[1].__exit__()
            _kept = None
        # A spawned process imports the main module of its parent first. Ray's would load Ray into every worker.
        vars(sys.modules["__main__"]).pop("__file__", None)
        told: Job = _ray().get(job)
        pool = Pool(told.source, 1, told.images, told.verify, told.guard)
        try:
            fault = told.fault(pool.ready())
        except BrokenProcessPool:
            fault = "cannot run worker processes"
        except ImportError as e:
            fault = f"lacks what parts are made with ({e}); install cadcoder's dependencies on every node"
        if fault is not None:
            pool.__exit__()
            raise ConfigError(f"node {socket.gethostname()} {fault}")
        _kept = key, pool
    return _kept[1]


def work(job: Sequence[Any], key: str, first: int, last: int) -> tuple[str, list[Row]]:
    """Make a chunk, on a node.

    Args:
        job: a reference to the :class:`Job`, in a list, so that Ray does not look it up for every chunk.
        key: of the build.
        first: its first part.
        last: the one after its last part.

    Returns:
        An error for a person or nothing, and the rows.
    """
    try:
        rows: list[Row] = list(itertools.chain(*(r for _, r in _beside(job[0], key).run([range(first, last)]))))
        return "", rows
    except CadCoderError as e:
        return str(e), []


class RayPool:
    """The nodes of a cluster over one source; a context manager as :class:`dataset_build.pool.Pool` is."""

    def __init__(
        self,
        source: Source,
        workers: int = 0,
        images: bool | Wish = True,
        verify: str = "fast",
        guard: Guard | None = None,
        address: str = "local",
        needs: Sequence[Path] = (),
    ) -> None:
        """Connect to nothing yet.

        Args:
            source: the parts.
            workers: chunks done at a time at most; 0 for as many as there are processors, also those that join later.
            images: which pictures to draw.
            verify: how scripts are proved.
            guard: what keeps parts out.
            address: of the cluster, as :func:`found` returns it; not used by a process that is connected already.
            needs: paths that every node must have.
        """
        paths = [*needs, *([guard.held.folder] if guard and guard.held else [])]
        stamps = {str(p.resolve()): stamp(p) for p in paths}
        self._job = Job(source, images, verify, guard, fingerprint(), stamps)
        self._workers, self._address = workers, address
        self._own = contextlib.ExitStack()
        self._waiting: deque[_Sent] = deque()
        self._counted, self._slots = -RECOUNT, 1
        self._lost = 0

    def __enter__(self) -> Self:
        ray = _ray()
        if not ray.is_initialized():
            try:
                _init(self._address, self._workers, code=True)
            except (ConnectionError, RuntimeError, ValueError, OSError) as e:
                raise ConfigError(f"--ray-address: {self._address}: {' '.join(str(e).split())[:300]}") from e
            # Ray prints pages of a lost node's log to standard output. They are in its log files as well.
            self._own.enter_context(contextlib.redirect_stdout(self._own.enter_context(open(os.devnull, "w"))))
            self._own.callback(ray.shutdown)
        self._key = f"{os.getpid()}-{time.time_ns()}"
        self._reference = ray.put(self._job)
        # Sent again by us alone, so that every kind of loss is counted, and told when it does not end.
        self._task = ray.remote(num_cpus=1, num_returns=2, max_retries=0)(work)
        return self

    def __exit__(self, *_: object) -> None:
        for sent in self._waiting:
            with contextlib.suppress(Exception):  # whatever ended the build is what should be told
                _ray().cancel(sent.flag, force=True)
        self._waiting.clear()
        self._own.close()

    def run(self, chunks: Iterable[range]) -> Iterator[tuple[range, list[Row]]]:
        """Yield (chunk, its rows) in the order of the chunks, a row for every index.

        Raises:
            CadCoderError: if a node cannot take part, or a chunk is lost too often.
        """
        rest = iter(chunks)
        while True:
            self._send(rest)
            if not self._waiting:
                return
            self._look()
            while self._waiting and (rows := self._rows(self._waiting[0])) is not None:
                sent = self._waiting.popleft()
                self._send(rest)  # before the caller takes its time
                yield sent.chunk, rows

    def _send(self, rest: Iterator[range]) -> None:
        """Send chunks until enough are under way."""
        now = time.monotonic()
        if now - self._counted > RECOUNT:
            there = int(_ray().cluster_resources().get("CPU", 0))
            self._slots, self._counted = max(1, min(there, self._workers or there)), now
        # Where all processors may be used, a few chunks lie ready at their nodes, so that none waits for the next.
        most = self._slots if self._workers else 2 * self._slots
        open_now = sum(not s.done for s in self._waiting)
        while open_now < most and len(self._waiting) < AHEAD * self._slots + 1:
            chunk = next(rest, None)
            if chunk is None:
                return
            self._waiting.append(_Sent(chunk, *self._submit(chunk)))
            open_now += 1

    def _submit(self, chunk: range) -> tuple[Any, Any]:
        flag, rows = self._task.remote([self._reference], self._key, chunk.start, chunk.stop)
        return flag, rows

    def _look(self) -> None:
        """Wait until a chunk is done or lost; send those again that were lost."""
        ray = _ray()
        began = time.monotonic()
        under_way = {s.flag: s for s in self._waiting if not s.done}
        while not ray.wait(list(under_way), num_returns=1, timeout=STALL)[0]:
            there, free = (int(r.get("CPU", 0)) for r in (ray.cluster_resources(), ray.available_resources()))
            log.warning(
                "warning: no chunk was done for %.0f s; the cluster has %d processors, %d of them free",
                *(time.monotonic() - began, there, free),
            )
        for flag in ray.wait(list(under_way), num_returns=len(under_way), timeout=0)[0]:
            self._settle(under_way[flag])

    def _settle(self, sent: _Sent) -> None:
        ray = _ray()
        try:
            said = ray.get(sent.flag)
        except ray.exceptions.RayTaskError as e:
            said = str(e).strip().splitlines()[-1]
            raise CadCoderError(f"parts {sent.chunk.start} to {sent.chunk.stop - 1} failed on a node: {said}") from e
        except ray.exceptions.RayError as e:
            self._again(sent, e)
            return
        if said:
            raise ConfigError(said)
        sent.done = True

    def _rows(self, sent: _Sent) -> list[Row] | None:
        """Return a chunk's rows if they are there."""
        ray = _ray()
        if not sent.done:
            return None
        try:
            rows: list[Row] = ray.get(sent.rows)
        except ray.exceptions.RayError as e:
            self._again(sent, e)  # its node was lost with what it held
            return None
        return rows

    def _again(self, sent: _Sent, why: Exception) -> None:
        """Send a chunk once more."""
        parts = f"parts {sent.chunk.start} to {sent.chunk.stop - 1}"
        said = (str(why).strip() or type(why).__name__).splitlines()[0]
        if sent.tries == TRIES:
            raise CadCoderError(f"{parts} were lost {TRIES} times, the last time: {said[:300]}")
        if sent.tries > 2:
            time.sleep(min(2.0 ** (sent.tries - 3), 30.0))
        if not self._lost:
            log.warning("warning: %s were lost with where they were made, and are made again (%s)", parts, said[:200])
        self._lost += 1
        sent.flag, sent.rows = self._submit(sent.chunk)
        sent.tries, sent.done = sent.tries + 1, False
