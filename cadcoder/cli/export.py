"""``cadcoder export``: a script's part as STEP, STL or GLB."""

from __future__ import annotations

from typing import Annotated

import typer

from cadcoder.cli.unsafe import UnsafeSandbox
from cadcoder.errors import InputError


def export_command(
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="A CadQuery script, or - for standard input.")],
    step: Annotated[str | None, typer.Option(metavar="FILE", help="Write STEP.")] = None,
    stl: Annotated[str | None, typer.Option(metavar="FILE", help="Write STL.")] = None,
    glb: Annotated[str | None, typer.Option(metavar="FILE", help="Write GLB.")] = None,
    unsafe_sandbox: UnsafeSandbox = None,
) -> None:
    """Run a script in the executor and write its part to files, lengths taken as millimetres."""
    from cadcoder.cli.sources import read_script
    from cadcoder.files import check_writable, write_bytes
    from cadcoder.part import run_exports

    wanted = {kind: path for kind, path in (("step", step), ("stl", stl), ("glb", glb)) if path is not None}
    if not wanted:
        raise InputError("say what to write: --step FILE, --stl FILE or --glb FILE")
    for path in wanted.values():
        check_writable(path)
    made = run_exports(read_script(script), tuple(wanted))
    for kind, path in wanted.items():
        write_bytes(path, made[kind])
