"""``cadcoder score``: scripts against true parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cadcoder.cli.console import Console, only_results_on_stdout
from cadcoder.cli.scored import show_one, show_summary
from cadcoder.cli.unsafe import UnsafeSandbox
from cadcoder.errors import CadCoderError, InputError

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor
    from cadcoder.scoring import Published, Row, Task

PRINTER = Callable[[str], None]


def score_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT",
            help="A script, - for standard input, a solid (STEP, STL, ...), a folder of them, a .jsonl file, or a "
            "folder in CADBench's layout.",
        ),
    ],
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR", help="The true part (STEP, BREP, STL, GLB, script), or their folder or .jsonl file."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a script.")] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the rows here as they are made, and go on from them.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Scripts run at once.")] = 2,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Time for one script.")] = 10.0,
    strict: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only variable taken as the result, such as solid.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Also measure as a published evaluator does, faults included: cad-coder."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out true parts without a script, which else count as failures.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")] = False,
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Run scripts in the executor and measure the parts that they make against the true ones."""
    score(source, truth, as_json, out, workers, timeout, strict, partial, Console(quiet), protocol)


def score(
    source: str,
    truth: str | None = None,
    as_json: bool = False,
    out: str | None = None,
    workers: int = 2,
    timeout: float = 10.0,
    strict: str | None = None,
    partial: bool = False,
    console: Console | None = None,
    protocol: str | None = None,
) -> None:
    """Do the work of :func:`score_command`.

    Raises:
        InputError: if something that it is given cannot be read.
        CadCoderError: at the end, if a row could not be scored through no fault of its script.
    """
    console = console or Console()
    many = Path(source).is_dir() or Path(source).suffix.lower() == ".jsonl"
    tasks = _tasks(source, truth, many, partial)
    from cadcoder.sandbox import Executor
    from cadcoder.scoring import OURS, PROTOCOLS, Published

    if protocol is not None and protocol not in PROTOCOLS:
        raise InputError(f"there is no protocol {protocol}; there is {', '.join(PROTOCOLS)}")
    used = min(workers, len(tasks))
    with ExitStack() as stack:
        write = stack.enter_context(only_results_on_stdout())
        executor = stack.enter_context(Executor(workers=used, timeout=timeout))
        rule = stack.enter_context(Published(protocol, executor, used)) if protocol is not None else None

        def show(text: str) -> None:
            write((text + "\n").encode())

        rows = []
        with console.progress(len(tasks)) if many else console.waiting("scoring") as advance:
            for row in _rows(tasks, executor, out, strict, rule):
                rows.append(row)
                advance()
                if as_json and (many or row["outcome"] != OURS):
                    show(json.dumps(_shown(row)))
        if many:
            show_summary(rows, as_json, show)
        elif not as_json and rows[0]["outcome"] != OURS:
            show_one(rows[0], show)
    faults = [r for r in rows if r["outcome"] == OURS]
    if faults and not many:
        raise CadCoderError(faults[0]["message"])
    if faults:
        first = faults[0]
        raise CadCoderError(
            f"{len(faults)} of {len(rows)} could not be scored, first {first['id']}: {first['message']}"
        )


def _tasks(source: str, truth: str | None, many: bool, partial: bool) -> list[Task]:
    from cadcoder import scoring

    path = Path(source)
    if path.suffix.lower() == ".jsonl" and not path.is_dir():
        return scoring.tasks_from_jsonl(path, Path(truth) if truth else None)
    if truth is None:
        raise InputError("say what the part should be: --truth FILE" + (" or --truth FOLDER" if many else ""))
    true = Path(truth)
    if many:
        kinds = {p.suffix.lower() for p in path.iterdir()}
        answers = kinds & {".py", *_solids()}
        read = scoring.tasks_from_folder if answers or not any(path.rglob("*.jsonl")) else scoring.tasks_from_cadbench
        return read(path, true, partial)
    code, made = _answer(source, path)
    program = None
    if true.is_dir() or true.suffix.lower() == ".jsonl":
        index = scoring.Truths(true)
        found = index.find(path.stem)
        if found is None:
            raise InputError(f"there is no true part for {path.stem} in {true}")
        true, program = found, index.program(path.stem, found, path if path.is_file() else None)
    if not true.is_file():
        raise InputError(f"{true}: there is no such file")
    return [scoring.Task(path.stem if source != "-" else "stdin", true, code, program, made)]


def _answer(source: str, path: Path) -> tuple[str | None, Path | None]:
    """Return (script, None), or (None, file) of a solid, which must be readable: here it is all there is to score."""
    if path.suffix.lower() in _solids():
        from cadcoder.geometry.read import read_solid

        read_solid(path, fallback=True)
        return None, path
    from cadcoder.cli.sources import read_script
    from cadcoder.scoring import unfenced

    return unfenced(read_script(source)), None


def _solids() -> tuple[str, ...]:
    from cadcoder.geometry.read import SUFFIXES

    return SUFFIXES


def _rows(
    tasks: Sequence[Task], executor: Executor, out: str | None, strict: str | None, rule: Published | None
) -> Iterator[Row]:
    from cadcoder import scoring

    if out is None:
        yield from scoring.run(tasks, executor, strict, rule)
        return
    from cadcoder.files import check_writable

    check_writable(out)
    for row, _ in scoring.run_resumed(tasks, executor, Path(out), strict, rule):
        yield row


def _shown(row: Row) -> Row:
    """Return the row with the keys that a reader looks for in front."""
    first = ("id", "outcome", "message", "metrics", "layers", "notes", "seconds", "truth", "group")
    return {k: row[k] for k in first}
