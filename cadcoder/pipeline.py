"""From a picture to a script that runs: draft, run, compare with the picture, choose, refine, write.

The model only proposes. Every proposal runs in the executor; those that build nothing are dropped, the rest
are drawn with the camera of the training pictures, and the one most like the picture is taken, refined and
written in the style that was asked for. What is handed over has itself been run.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from cadcoder import pictures
from cadcoder.choose import Means, choose
from cadcoder.errors import CadCoderError, InputError
from cadcoder.options import EFFORT, Drafter, Options, Stopped
from cadcoder.part import Part
from cadcoder.rewrite import Style
from cadcoder.sizes import Size

__all__ = ["Drafter", "Options", "Pipeline", "generate"]

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.refine.poses import Guess, Views
    from cadcoder.render.observe import Observation
    from cadcoder.sandbox import Executor, Outcome

#: Scripts that the model writes at the same time (pictures times candidates).
BATCH = 32
#: Seconds and megabytes that one script may take.
TIMEOUT, MEMORY_MB = 20.0, 2048


#: A picture of a part, or several of the same part.
Item: TypeAlias = "pictures.Picture | Sequence[pictures.Picture]"
#: A picture, and the error that it met or its part to come.
_Started: TypeAlias = "tuple[Item, CadCoderError | Future[Part]]"
#: What is seen in the pictures of a part, and what the bank has that is like it.
_Sight: TypeAlias = "tuple[Views, Future[list[Guess]] | None]"


class Pipeline:
    """A model and an executor, held ready for pictures; a context manager.

    Both are started at once and in the background, so that the executor's child imports CadQuery while this
    process loads the model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Drafter | None = None,
        *,
        device: str | None = None,
        workers: int | None = None,
        timeout: float = TIMEOUT,
        memory_mb: int = MEMORY_MB,
        executor: Executor | None = None,
        bank: str | os.PathLike[str] | None = None,
        many: bool = False,
    ) -> None:
        """Begin to load the model and to warm the executor.

        Args:
            model: folder or name of a checkpoint, or anything with ``candidates``; None is the default model.
            device: ``cpu``, ``cuda`` or ``mps``; None takes the best that is there.
            workers: scripts run at the same time; None is one a core, four at most.
            timeout: seconds that one script may take.
            memory_mb: memory that one script may take.
            executor: an open one to use in place of a new one; it is not closed with this pipeline.
            bank: file with programs to start fits from (:mod:`cadcoder.refine.bank`); None is the checkpoint's own.
            many: whether there will be many pictures: half a second more at the start, less for each script.

        Raises:
            InputError: if the model is none of these.
        """
        by_name = model is None or isinstance(model, str | os.PathLike)
        if not by_name and not isinstance(model, Drafter):
            raise InputError(f"a model must be a folder, a name, or have candidates(), not {type(model).__name__}")
        self._takes_many = by_name or hasattr(model, "candidates_batch")
        self._bank = None if isinstance(model, Drafter) else _bank_of(model)
        if bank is not None:
            self._bank = Path(bank)
        self._workers = workers or min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self._limits = timeout, memory_mb, many
        self._lock = threading.Lock()
        self._drafting = threading.Lock()
        self._closed = False
        self._shared = executor is not None
        self._executor = executor
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="cadcoder-run")
        # One picture more than there are workers, so that these draw on while a script of another picture runs.
        self._chooser = ThreadPoolExecutor(self._workers + 1, thread_name_prefix="cadcoder-choose")
        self._starting = self._pool.submit(self._open_executor)
        from cadcoder.refine.pool import Pool

        self._fitters = Pool(self._workers)
        # Once the executor is warm and while the model still loads, a core is idle.
        self._starting.add_done_callback(lambda _: self._fitters.grow())
        self._drafter: Future[Drafter] = Future()
        if isinstance(model, Drafter):
            self._drafter.set_result(model)
        else:
            threading.Thread(target=self._load_model, args=(model, device), daemon=True, name="cadcoder-model").start()

    def _open_executor(self) -> Executor:
        from cadcoder.sandbox import Executor

        with self._lock:
            if self._closed:
                raise InputError("this pipeline is closed; open a new one")
            if self._executor is None:
                timeout, memory_mb, many = self._limits
                self._executor = Executor(self._workers, timeout, memory_mb, many=many)
            return self._executor

    def _load_model(self, model: str | os.PathLike[str] | None, device: str | None) -> None:
        try:
            from cadcoder.model import Model

            self._drafter.set_result(Model.load(model, device=device))
        except BaseException as error:  # handed on to whoever waits for the model
            self._drafter.set_exception(error)

    @property
    def drafter(self) -> Drafter:
        """The model, once it is loaded.

        Raises:
            CadCoderError: if it cannot be loaded.
        """
        return self._drafter.result()

    @property
    def model_name(self) -> str:
        """What results call the model."""
        return str(getattr(self.drafter, "name", type(self.drafter).__name__))

    def run(self, code: str, exports: tuple[str, ...] = ()) -> Outcome:
        """Run one script in the executor and return its outcome."""
        return self._starting.result().run(code, exports=exports)

    def _run(self, options: Options, code: str, exports: tuple[str, ...] = ()) -> Outcome:
        """Run one script, unless the work is ended."""
        if options.stopper is not None:
            options.stopper.check()
        return self.run(code, exports)

    def _ask(self, options: Options, job: str, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Ask a fitter for a job, unless the work is ended."""
        if options.stopper is None:
            return self._fitters.submit(job, *args, **kwargs)
        options.stopper.check()
        return options.stopper.watch(self._fitters.submit(job, *args, **kwargs))

    def generate(self, picture: Item, options: Options | None = None) -> Part:
        """Return the part that a picture shows.

        Args:
            picture: a path, bytes, a Pillow image or an array; or a list of several pictures of the same part.
            options: how.

        Raises:
            InputError: if the picture cannot be read.
            NoValidScript: if no candidate runs.
            Stopped: if the options' stopper ended the work.
        """
        try:
            ((_, found),) = self.generate_many([picture], options)
        except CancelledError:  # a step that had not begun
            raise Stopped("the work was stopped") from None
        if isinstance(found, CadCoderError):
            raise found
        return found

    def generate_many(
        self, items: Iterable[Item], options: Options | None = None
    ) -> Iterator[tuple[Item, Part | CadCoderError]]:
        """Yield every picture with its part, in order, or with the error that it met.

        Several pictures are handed to the model at once where it can take them. An item that is a list of pictures
        is one part, seen from several sides.
        """
        options = options or Options()
        chunk = max(1, BATCH // options.candidates) if self._takes_many else 1
        waiting = iter(items)
        started: list[_Started] = []
        following: Future[list[_Started]] | None = None
        ahead = ThreadPoolExecutor(1, thread_name_prefix="cadcoder-ahead")
        try:
            while True:
                batch = [item for _, item in zip(range(chunk), waiting, strict=False)]
                started = following.result() if following else []
                # The model writes for the next pictures while the scripts of these are run and fitted.
                following = ahead.submit(self._start_batch, batch, options) if batch else None
                for item, result in started:
                    try:
                        yield item, result if isinstance(result, CadCoderError) else result.result()
                    except CadCoderError as error:
                        yield item, error
                if following is None:
                    return
        finally:
            # Without waiting: when interrupted, the model may be in the middle of something long.
            ahead.shutdown(wait=False, cancel_futures=True)
            for _, result in started:
                if not isinstance(result, CadCoderError):
                    result.cancel()

    def _start_batch(self, batch: Sequence[Item], options: Options) -> list[_Started]:
        """Draft for several parts, and begin to choose; return each with its error or future part."""
        start = time.perf_counter()
        seen: list[tuple[list[Image.Image], list[Future[Observation]]] | CadCoderError] = []
        for item in batch:
            try:
                images = [pictures.load(one) for one in _pictures_of(item)]
                # The workers look at the pictures while this process still loads the model.
                seen.append((images, [self._ask(options, "observe", image) for image in images]))
            except CadCoderError as error:
                seen.append(error)
        shown: list[_Sight | CadCoderError] = []
        groups: list[list[Image.Image]] = []
        for found in seen:
            try:
                if isinstance(found, CadCoderError):
                    raise found
                views = tuple(observation.result() for observation in found[1])
                shown.append((views, self._retrieve(views, options)))
                groups.append(found[0])
            except CadCoderError as error:
                shown.append(error)
        flat = [image for images in groups for image in images]
        drafts = iter(self._draft(flat, options.candidates, options.seed, options))
        shared = (time.perf_counter() - start) / max(1, len(groups))

        def timed(images: list[Image.Image], sight: _Sight, codes: Sequence[str]) -> Part:
            began = time.perf_counter()
            part = self._choose(images, *sight, codes, options)
            return replace(part, seconds=shared + time.perf_counter() - began)

        # A few pictures at a time, so that none waits long in the middle of its fit.
        started: list[_Started] = []
        left = iter(groups)
        for item, sight in zip(batch, shown, strict=True):
            if isinstance(sight, CadCoderError):
                started.append((item, sight))
                continue
            images = next(left)
            codes = [code for _ in images for code in next(drafts)]
            started.append((item, self._chooser.submit(timed, images, sight, codes)))
        return started

    def _retrieve(self, views: Views, options: Options) -> Future[list[Guess]] | None:
        """Ask for the programs of the checkpoint's bank that are most like the pictures, where there is a bank."""
        if self._bank is None or not options.fits:
            return None
        from cadcoder.refine.poses import small

        return self._ask(options, "retrieve", str(self._bank), small(views), options.retrieved)

    def _draft(self, images: Sequence[Image.Image], n: int, seed: int, options: Options) -> Sequence[Sequence[str]]:
        drafter = options.drafter or self.drafter
        most = options.max_new_tokens
        limit: dict[str, Any] = {} if most is None else {"max_new_tokens": most}
        many = getattr(drafter, "candidates_batch", None)
        with self._drafting:  # a model need not bear two callers at a time
            if many is not None and len(images) > 1:
                found: Sequence[Sequence[str]] = many(images, n=n, seed=seed, **limit)
                return found
            return [drafter.candidates(image, n=n, seed=seed, **limit) for image in images]

    def _choose(
        self,
        images: Sequence[Image.Image],
        views: Views,
        nearest: Future[list[Guess]] | None,
        codes: Sequence[str],
        options: Options,
    ) -> Part:
        """Return the part that some pictures show."""
        run = functools.partial(self._run, options)

        def more(n: int, seed: int) -> list[str]:
            return [code for written in self._draft(images, n, seed, options) for code in written]

        means = Means(
            run=run,
            run_all=lambda texts: self._pool.map(run, texts),
            ask=functools.partial(self._ask, options),
            draft=more,
        )
        return replace(choose(codes, views, nearest, means, options), model=self.model_name, run=self.run)

    def close(self) -> None:
        """End the executor's children."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        if executor is not None and not self._shared:
            executor.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._chooser.shutdown(wait=False, cancel_futures=True)
        self._fitters.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing waits for scripts that still run; when interrupted, their processes end with this one.
        if kind is None or issubclass(kind, Exception):
            self.close()


def _pictures_of(item: Item) -> Sequence[pictures.Picture]:
    """Return the pictures of one part.

    Raises:
        InputError: if there is none.
    """
    if not isinstance(item, list | tuple):
        return [item]  # type: ignore[list-item]
    if not item:
        raise InputError("a part needs at least one picture")
    return item


def generate(
    picture: Item,
    *,
    model: str | os.PathLike[str] | Drafter | None = None,
    device: str | None = None,
    candidates: int = 1,
    seed: int = 0,
    max_new_tokens: int | None = None,
    size: Size | str | float | None = None,
    style: Style = "editable",
    refine: bool = True,
    effort: int = EFFORT,
) -> Part:
    """Return the part that a picture shows, with a CadQuery script that runs.

    The model and the executor of the first call are kept for the next ones.

    Args:
        picture: a path, bytes, a Pillow image or a NumPy array; or a list of several pictures of the same part.
        model: folder or name of a checkpoint, or anything with ``candidates``; None is the default model.
        device: ``cpu``, ``cuda`` or ``mps``; None takes the best that is there.
        candidates: how many scripts the model writes, of which the best is taken.
        seed: of the sampling; the same seed gives the same script.
        max_new_tokens: a script longer than this is cut off.
        size: real length of a side: ``40``, ``"x=40mm"``, ``"1.5in"``.
        style: ``editable``, ``plain`` or ``raw``.
        refine: whether the numbers are fitted to the picture; False is the same as effort 0.
        effort: from 0 (the model's script as it is) to 3 (a long search).

    Raises:
        InputError: if the picture cannot be read.
        NoValidScript: if no candidate runs.
    """
    # Made first: faults in the options are named before a model is loaded.
    options = Options(
        candidates=candidates,
        seed=seed,
        max_new_tokens=max_new_tokens,
        size=size,
        style=style,
        refine=refine,
        effort=effort,
    )
    if model is None or isinstance(model, str | os.PathLike):
        return _shared(None if model is None else os.fspath(model), device).generate(picture, options)
    with Pipeline(model, device=device) as pipeline:
        part = pipeline.generate(picture, options)
    return replace(part, run=None)


def _bank_of(model: str | os.PathLike[str] | None) -> Path | None:
    """Return the bank of programs beside a checkpoint, None where it has none."""
    from cadcoder.model.checkpoint import BANK_FILE, find

    try:
        path = find("default" if model is None else os.fspath(model)) / BANK_FILE
    except CadCoderError:  # whoever waits for the model is told
        return None
    return path if path.is_file() else None


@functools.lru_cache(maxsize=2)
def _shared(model: str | None, device: str | None) -> Pipeline:
    pipeline = Pipeline(model, device=device)
    atexit.register(pipeline.close)
    return pipeline
