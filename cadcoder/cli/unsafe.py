"""The option ``--unsafe-sandbox``, which every command that runs scripts has."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cadcoder.errors import ConfigError


def _do_without(value: str | None) -> str | None:
    if value is None:
        return None
    from cadcoder.sandbox import policy

    try:
        policy.do_without([name.strip() for name in value.split(",") if name.strip()])
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    names = policy.left_out()
    if names:
        print(f"warning: scripts run without the sandbox layers {', '.join(names)}", file=sys.stderr)
    return ",".join(names)


#: Names the layers to do without; without it, a machine that lacks Landlock or seccomp runs no scripts.
UnsafeSandbox = Annotated[
    str | None,
    typer.Option(
        "--unsafe-sandbox",
        metavar="LAYER,...",
        callback=_do_without,
        help="Run scripts without these sandbox layers (cadcoder doctor names them). Only for scripts that you trust.",
    ),
]
