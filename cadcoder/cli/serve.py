"""``cadcoder serve``: the model behind OpenAI's chat protocol."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cadcoder.cli.console import Console
from cadcoder.cli.unsafe import UnsafeSandbox


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes one that is free.")] = 8000,
    model: Annotated[
        str | None, typer.Option(metavar="DIR|NAME", help="Checkpoint to use in place of the default model.")
    ] = None,
    name: Annotated[str, typer.Option(help="What clients call the model.")] = "cadcoder",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best that is there unless given.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that fit and run scripts.")] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; more are answered 429.")] = 16,
    max_body: Annotated[float, typer.Option(metavar="MIB", min=0.01, help="Largest request.")] = 20.0,
    timeout: Annotated[float, typer.Option(metavar="S", help="Longest time for a request, waiting included.")] = 120.0,
    grace: Annotated[float, typer.Option(metavar="S", help="Time that requests get to end after SIGTERM.")] = 30.0,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="CADCODER_API_KEY", help="Key that clients must show. Better given by the environment."),
    ] = None,
    candidates: Annotated[int, typer.Option("--candidates", "-n", min=1, help="Scripts to choose the best from.")] = 1,
    style: Annotated[
        Literal["editable", "plain", "raw"],
        typer.Option(help="Named numbers and comments; short; or exactly what the model wrote."),
    ] = "editable",
    refine: Annotated[bool, typer.Option("--refine/--no-refine", help="Fit the numbers to the picture.")] = True,
    effort: Annotated[
        int, typer.Option(min=0, max=3, help="0: as the model wrote it; 1: quick; 2: seconds; 3: a long search.")
    ] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no messages but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print a line a request.")] = False,
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Serve the model: POST /v1/chat/completions with a picture, answered with a CadQuery script.

    Any client of OpenAI's chat protocol can be pointed at it. GET /health, /ready, /metrics and /v1/models answer too.
    With --no-refine --style raw, streamed answers are the model's tokens as it writes them. SIGTERM ends it cleanly.
    """
    from cadcoder.pipeline import Options
    from cadcoder.serve.run import Settings, serve

    console = Console(quiet, verbose)
    options = Options(candidates=candidates, style=style, refine=refine, effort=effort)
    settings = Settings(
        host=host,
        port=port,
        model=model,
        device=device,
        workers=workers,
        queue=queue,
        max_body=int(max_body * 2**20),
        timeout=timeout,
        grace=grace,
        api_key=api_key,
        served=name,
    )
    serve(settings, options, console.info, console.detail)
