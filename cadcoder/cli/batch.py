"""The work of ``cadcoder generate``: which picture goes where, and one failure that does not stop the rest."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadcoder.errors import CadCoderError, InputError, NoValidScript
from cadcoder.files import check_writable, write_bytes
from cadcoder.part import NothingRuns, Part, describe
from cadcoder.pictures import display_name, list_folder, load

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.cli.console import Console
    from cadcoder.pipeline import Options, Pipeline

#: The kind of export that shows how a script came about.
EXPLAIN = "explain.png"
#: Pictures of one part at most.
MOST_VIEWS = 8
#: What is called with a job and its row of results.
Report = Callable[["Job", dict[str, object]], None]


@dataclass
class Job:
    """One picture and where its results go.

    Attributes:
        source: path of the picture, or ``-``.
        script: file for the script; None is stdout.
        exports: ``step``, ``stl``, ``glb`` and ``explain.png`` with their files.
        more: further pictures of the same part.
        images: the pictures, once they have been read.
    """

    source: str
    script: Path | None = None
    exports: dict[str, Path] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    images: list[Image.Image] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What messages call the picture."""
        return ", ".join(display_name(source) for source in self.sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """All pictures of the part."""
        return self.source, *self.more

    @property
    def item(self) -> list[Any]:
        """What the pipeline is given."""
        return self.images or list(self.sources)

    def load(self) -> None:
        """Read the pictures now.

        Raises:
            InputError: if one cannot be read.
        """
        self.images = [load(source) for source in self.sources]


def plan(
    sources: Sequence[str], output: str | None, exports: dict[str, str], as_json: bool, one_part: bool = False
) -> tuple[list[Job], bool]:
    """Return the jobs, and whether there may be several (then one failure does not stop the rest).

    Args:
        sources: as on the command line: pictures, folders, ``-``.
        output: value of ``-o``.
        exports: values of ``--step``, ``--stl``, ``--glb`` and ``--explain`` by kind.
        as_json: whether results go to stdout as JSON lines.
        one_part: whether all pictures show the same part; then there is one job.

    Raises:
        InputError: if there is nothing to do, or the results have no place to go.
    """
    paths: list[str] = []
    several = len(sources) > 1
    for source in sources:
        if source != "-" and Path(source).is_dir():
            several = True
            paths += [str(p) for p in list_folder(Path(source))]
        else:
            paths.append(source)
    if paths.count("-") > 1:
        raise InputError("standard input holds one picture; give - once")
    more: tuple[str, ...] = ()
    if one_part:
        if not 1 <= len(paths) <= MOST_VIEWS:
            raise InputError(f"--one-part takes 1 to {MOST_VIEWS} pictures of the part, not {len(paths)}")
        paths, more, several = paths[:1], tuple(paths[1:]), False
    if EXPLAIN in exports and several and "-" in paths:
        raise InputError("--explain needs the pictures of a set as files; standard input is read but once")
    output = None if output == "-" else output
    if several and output is None and not as_json:
        raise InputError(f"{len(paths)} pictures need a folder for their scripts: add -o DIR/ (or --json)")
    places = {"py": output, **exports} if output else dict(exports)
    folders = {kind: Path(place) for kind, place in places.items() if several or _is_folder(place)}
    for folder in folders.values():
        _make_folder(folder)
    jobs = []
    for source, stem in zip(paths, _stems(paths), strict=True):
        files = {kind: Path(place) for kind, place in places.items()}
        files.update((kind, folder / f"{stem}.{kind}") for kind, folder in folders.items())
        for file in files.values():
            check_writable(file)
            for picture in (source, *more):
                if picture != "-" and file.exists() and Path(picture).exists() and file.samefile(picture):
                    raise InputError(f"{file} is the picture itself; name another file")
        jobs.append(Job(source, files.pop("py", None), files, more))
    return jobs, several


def _is_folder(text: str) -> bool:
    return text.endswith(("/", "\\")) or Path(text).is_dir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file; several pictures need a folder") from None
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror or error}") from None


def _stems(paths: Sequence[str]) -> list[str]:
    """Return a distinct file stem a picture: its own, with -2, -3, ... where it is taken (in any case)."""
    taken: set[str] = set()
    stems = []
    for path in paths:
        own = "stdin" if path == "-" else Path(path).stem
        stem, n = own, 1
        while stem.casefold() in taken:
            n += 1
            stem = f"{own}-{n}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def run_jobs(
    pipeline: Pipeline, jobs: Sequence[Job], options: Options, console: Console, several: bool, report: Report
) -> int:
    """Do the jobs and return the exit code: 0, 2 if a picture could not be used, else 3 if one gave no script.

    Raises:
        CadCoderError: what the only picture met, or, for several, what is wrong with the model.
    """
    failures: list[CadCoderError] = []
    start = time.perf_counter()
    results = pipeline.generate_many((job.item for job in jobs), options)
    with console.progress(len(jobs)) if several else console.waiting("writing the script ...") as advance:
        for job, (_, found) in zip(jobs, results, strict=True):
            try:
                if isinstance(found, CadCoderError):
                    raise found
                _deliver(job, found)
                report(job, {"picture": job.source, **_further(job), **found.to_json()})
                _tell(console, job, found)
            except CadCoderError as error:
                report(job, _failure(job, error, pipeline, options))
                if not several:
                    raise
                failures.append(error)
                console.error(error if job.name in str(error) else f"{job.name}: {error}")
            advance()
    if several:
        taken = time.perf_counter() - start
        console.info(f"{len(jobs) - len(failures)} scripts in {taken:.1f} s ({taken / len(jobs):.2f} s a picture)")
    if failures:
        console.error(f"{len(failures)} of {len(jobs)} pictures failed")
    return min((error.exit_code for error in failures), default=0)


def _deliver(job: Job, part: Part) -> None:
    """Write the files; the script last, so that where it lies everything lies."""
    solids = [kind for kind in job.exports if kind != EXPLAIN]
    made = part.exported(*solids) if solids else {}
    if EXPLAIN in job.exports:
        sheet = io.BytesIO()
        part.explain(*(job.images or job.sources)).save(sheet, "PNG", optimize=True)
        made[EXPLAIN] = sheet.getvalue()
    for kind, path in job.exports.items():
        write_bytes(path, made[kind])
    if job.script is not None:
        write_bytes(job.script, part.code.encode())


def _further(job: Job) -> dict[str, object]:
    return {"more": list(job.more)} if job.more else {}


def _failure(job: Job, error: CadCoderError, pipeline: Pipeline, options: Options) -> dict[str, object]:
    return {
        "picture": job.source,
        **_further(job),
        "outcome": "no_valid_script" if isinstance(error, NoValidScript) else "input_error",
        "error": str(error),
        "code": None,
        "candidates": [c.to_json() for c in error.candidates] if isinstance(error, NothingRuns) else [],
        "model": pipeline.model_name,
        "seed": options.seed,
    }


def _tell(console: Console, job: Job, part: Part) -> None:
    valid = sum(c.outcome.ok for c in part.candidates)
    alike = "" if part.likeness is None else f", likeness {part.likeness:.3f}"
    console.detail(f"{job.name}: {part!r}, {valid} of {len(part.candidates)} run{alike}, {part.seconds:.2f} s")
    for i, candidate in enumerate(part.candidates):
        mark = "*" if i == part.chosen else " "
        score = "" if candidate.likeness is None else f" {candidate.likeness:.3f}"
        console.detail(f"  {mark} {i}: {describe(candidate.outcome)}{score}")
