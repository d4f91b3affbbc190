"""``cadcoder score``: scripts against true parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cadcoder.cli.console import Console, only_results_on_stdout
from cadcoder.cli.unsafe import UnsafeSandbox
from cadcoder.errors import CadCoderError, InputError

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor
    from cadcoder.scoring import Row, Task

#: How the measures are headed in tables, in this order.
TITLES = {
    "iou_best": "IoU best",
    "iou_paper": "IoU paper",
    "iou_raw": "IoU in place",
    "iou_box": "IoU in box",
    "chamfer": "Chamfer",
    "size_error": "size error",
}
PRINTER = Callable[[str], None]


def score_command(
    source: Annotated[
        str,
        typer.Argument(metavar="SCRIPT", help="A script, - for standard input, a folder of scripts, or a .jsonl file."),
    ],
    truth: Annotated[
        str | None,
        typer.Option(metavar="FILE|DIR", help="The true part (STEP, BREP, STL, GLB, script), or their folder."),
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
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out true parts without a script, which else count as failures.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")] = False,
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Run scripts in the executor and measure the parts that they make against the true ones."""
    score(source, truth, as_json, out, workers, timeout, strict, partial, Console(quiet))


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
    from cadcoder.scoring import OURS

    with only_results_on_stdout() as write, Executor(workers=min(workers, len(tasks)), timeout=timeout) as executor:

        def show(text: str) -> None:
            write((text + "\n").encode())

        rows = []
        with console.progress(len(tasks)) if many else console.waiting("scoring") as advance:
            for row in _rows(tasks, executor, out, strict):
                rows.append(row)
                advance()
                if as_json:
                    show(json.dumps(_shown(row)))
        if many:
            _show_summary(rows, as_json, show)
        elif not as_json and rows[0]["outcome"] != OURS:
            _show_one(rows[0], show)
    faults = [r for r in rows if r["outcome"] == OURS]
    if faults:
        first = faults[0]
        raise CadCoderError(
            f"{len(faults)} of {len(rows)} could not be scored, first {first['id']}: {first['message']}"
        )


def _tasks(source: str, truth: str | None, many: bool, partial: bool) -> list[Task]:
    from cadcoder import scoring

    path = Path(source)
    if path.suffix.lower() == ".jsonl":
        return scoring.tasks_from_jsonl(path, Path(truth) if truth else None)
    if truth is None:
        raise InputError("say what the part should be: --truth FILE" + (" or --truth FOLDER" if many else ""))
    if many:
        return scoring.tasks_from_folder(path, Path(truth), partial)
    from cadcoder.cli.sources import read_script

    true = Path(truth)
    if true.is_dir():
        found = scoring.find_truth(true, path.stem)
        if found is None:
            raise InputError(f"there is no true part for {path.stem} in {true}")
        true = found
    if not true.is_file():
        raise InputError(f"{true}: there is no such file")
    return [scoring.Task(path.stem if source != "-" else "stdin", true, scoring.unfenced(read_script(source)))]


def _rows(tasks: Sequence[Task], executor: Executor, out: str | None, strict: str | None) -> Iterator[Row]:
    from cadcoder import scoring

    if out is None:
        yield from scoring.run(tasks, executor, strict)
        return
    from cadcoder.files import check_writable

    check_writable(out)
    for row, _ in scoring.run_resumed(tasks, executor, Path(out), strict):
        yield row


def _shown(row: Row) -> Row:
    """Return the row with the keys that a reader looks for in front."""
    first = ("id", "outcome", "message", "metrics", "layers", "notes", "seconds", "truth")
    return {k: row[k] for k in first}


def _show_one(row: Row, show: PRINTER) -> None:
    show(f"outcome       {row['outcome']}" + (f" ({row['message']})" if row["message"] else ""))
    for name, value in (row["metrics"] or {}).items():
        show(f"{TITLES.get(name, name):<13} {value:.4f}")
    for note in row["notes"]:
        show(f"note          {note}")


def _show_summary(rows: list[Row], as_json: bool, show: PRINTER) -> None:
    from cadcoder.scoring import summarise

    summary = summarise(rows)
    if as_json:
        show(json.dumps({"summary": summary}))
        return
    width = max(len("id"), *(len(r["id"]) for r in rows))
    names = [n for n in TITLES if n in summary["metrics"]]
    show(f"{'id':<{width}}  {'outcome':<13}  " + "  ".join(f"{TITLES[n]:>12}" for n in names))
    for row in rows:
        values = row["metrics"] or {}
        cells = "  ".join(f"{values[n]:12.4f}" if n in values else " " * 11 + "-" for n in names)
        show(f"{row['id']:<{width}}  {row['outcome']:<13}  {cells}".rstrip())
    show("")
    left = f", {summary['left_out']} left out (our fault)" if summary["left_out"] else ""
    show(f"{summary['count']} scripts{left}; " + ", ".join(f"{n} {k}" for k, n in summary["outcomes"].items()))
    for key, title in (("vsr", "VSR (ran)"), ("vsr_strict", "VSR (valid)")):
        if summary[key]:
            show(f"{title:<13} {_percent(summary[key])}")
    for name in names:
        entry = summary["metrics"][name]
        parts = []
        if entry.get("mean"):
            parts.append(f"{_interval(entry['mean'])} with failures as 0")
        if entry["mean_valid"]:
            parts.append(f"{_interval(entry['mean_valid'])} over the valid, median {entry['median_valid']:.4f}")
        show(f"{TITLES[name]:<13} " + ("; ".join(parts) or "-"))


def _interval(e: dict[str, Any]) -> str:
    return f"{e['mean']:.4f} [{e['low']:.4f}, {e['high']:.4f}]"


def _percent(e: dict[str, Any]) -> str:
    return f"{100 * e['mean']:.1f} % [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
