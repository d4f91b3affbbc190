"""``cadcoder render``: the picture of a script or a solid."""

from __future__ import annotations

from typing import Annotated

import typer

from cadcoder.cli.console import only_results_on_stdout
from cadcoder.cli.unsafe import UnsafeSandbox


def render_command(
    source: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="A script, - for one from standard input, or a STEP, STL, ... file.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="PNG", help="Where to; - is standard output.")],
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Draw a part as the pictures are drawn that the default model was trained on (448 x 448)."""
    from cadcoder.cli.sources import solid_from
    from cadcoder.files import check_writable, write_bytes
    from cadcoder.part import draw_png

    if output != "-":
        check_writable(output)
    with only_results_on_stdout() as write:
        data = draw_png(solid_from(source))
        if output == "-":
            write(data)
        else:
            write_bytes(output, data)
