"""What the commands of this package share: one clear line for what a person can meet, and its exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from cadcoder.errors import CadCoderError

Main = Callable[[list[str] | None], int]


def told(main: Main) -> Callable[..., int]:
    """Have a command line say in one line what is wrong with its input or its files, and return the exit code."""

    @functools.wraps(main)
    def run(argv: list[str] | None = None) -> int:
        try:
            return main(argv)
        except CadCoderError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.stderr.write(f"error: {where}{error.strerror or error}\n")
            return 2

    return run
