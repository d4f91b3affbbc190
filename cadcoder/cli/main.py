"""The command ``cadcoder``."""

from __future__ import annotations

from typing import Annotated

import typer

from cadcoder import __version__
from cadcoder.cli.console import guarded
from cadcoder.cli.doctor import doctor_command
from cadcoder.cli.export import export_command
from cadcoder.cli.generate import generate_command
from cadcoder.cli.render import render_command
from cadcoder.cli.score import score_command
from cadcoder.cli.serve import serve_command

app = typer.Typer(
    name="cadcoder",
    help="A picture of a part in, the CadQuery script that makes it out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cadcoder {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A picture of a part in, the CadQuery script that makes it out."""


app.command("generate")(guarded(generate_command))
app.command("score")(guarded(score_command))
app.command("render")(guarded(render_command))
app.command("export")(guarded(export_command))
app.command("serve")(guarded(serve_command))
app.command("doctor")(guarded(doctor_command))


def run() -> None:
    """Run the command line and exit."""
    app()
