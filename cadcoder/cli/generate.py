"""``cadcoder generate``: pictures to scripts."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from cadcoder.cli.console import Console, only_results_on_stdout
from cadcoder.cli.unsafe import UnsafeSandbox


def generate_command(
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURE...", help="Pictures, a folder of them, or - for standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|DIR/", help="Write the script here; DIR/STEM.py for several."),
    ] = None,
    step: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the part as STEP.")] = None,
    stl: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the part as STL.")] = None,
    glb: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the part as GLB.")] = None,
    candidates: Annotated[int, typer.Option("--candidates", "-n", min=1, help="Scripts to choose the best from.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling: the same seed, the same script.")] = 0,
    model: Annotated[
        str | None, typer.Option(metavar="DIR|NAME", help="Checkpoint to use in place of the default model.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best that is there unless given.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest script that the model may write.")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="40|x=40mm|y=1.5in", help="Real length of the longest side, or along an axis."),
    ] = None,
    style: Annotated[
        Literal["editable", "plain", "raw"],
        typer.Option(help="Named numbers and comments; short; or exactly what the model wrote."),
    ] = "editable",
    refine: Annotated[bool, typer.Option("--refine/--no-refine", help="Fit the numbers to the picture.")] = True,
    effort: Annotated[
        int, typer.Option(min=0, max=3, help="0: as the model wrote it; 1: quick; 2: seconds; 3: a long search.")
    ] = 2,
    explain: Annotated[
        str | None,
        typer.Option(metavar="FILE.png|DIR/", help="Also draw the picture, first guess, final part, differences."),
    ] = None,
    one_part: Annotated[
        bool, typer.Option("--one-part", help="All PICTUREs show the same part, from different sides.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a picture, with all candidates, and not the script.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the model's first draft on stderr while it is written.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what is already in DIR/.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no messages but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more: each candidate, times.")] = False,
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Write the CadQuery script of the part that each PICTURE shows.

    The script goes to stdout unless -o says where; it has been run before it is printed. With --stream the draft that
    it starts from, which nobody has run yet, passes by on stderr; what goes to stdout is the same with and without.
    """
    from dataclasses import replace

    from cadcoder.cli.batch import EXPLAIN, Job, plan, run_jobs
    from cadcoder.cli.streaming import Shown
    from cadcoder.errors import InputError
    from cadcoder.pipeline import Options, Pipeline

    console = Console(quiet, verbose)
    options = Options(
        candidates=candidates,
        seed=seed,
        max_new_tokens=max_new_tokens,
        size=size,
        style=style,
        refine=refine,
        effort=effort,
    )
    wanted = (("step", step), ("stl", stl), ("glb", glb), (EXPLAIN, explain))
    exports = {kind: path for kind, path in wanted if path is not None}
    jobs, several = plan(pictures, output, exports, as_json, one_part)
    if stream and several:
        raise InputError("--stream shows the draft of one picture; leave it out for several")
    if resume:
        done = [job for job in jobs if job.script and job.script.exists()]
        jobs = [job for job in jobs if job not in done]
        if done:
            console.info(f"{len(done)} of {len(done) + len(jobs)} are done already")
        if not jobs:
            return
    with only_results_on_stdout() as write:
        if not several:
            jobs[0].load()  # says what is wrong with the picture before the model is loaded
        with Pipeline(model, device=device, many=several) as pipeline:
            if stream:
                options = replace(options, drafter=Shown(pipeline))

            def report(job: Job, row: dict[str, object]) -> None:
                if as_json:
                    write((json.dumps(row) + "\n").encode())
                elif job.script is None and row["code"]:
                    write(str(row["code"]).encode())

            # A moving display and the draft would write over each other.
            talk = Console(quiet=True) if stream and not verbose else console
            failed = run_jobs(pipeline, jobs, options, talk, several, report)
    if failed:
        raise typer.Exit(failed)
