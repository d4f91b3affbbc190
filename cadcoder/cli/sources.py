"""Scripts and solids that a command is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cadcoder.errors import InputError

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid

#: Longer scripts than this are not read.
MAX_BYTES = 1_000_000


def read_script(source: str) -> str:
    """Return the text of a script, from a file or (``-``) from standard input.

    Raises:
        InputError: if it cannot be read, is empty, too long, or not text.
    """
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder; give a script") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a script: it is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} is longer than {MAX_BYTES} bytes; that is no script of a part")
    if not text.strip():
        raise InputError(f"{name} is empty")
    return text


def solid_from(source: str) -> Solid:
    """Return the solid of a script (run in the executor) or of a STEP, BREP or mesh file.

    Raises:
        InputError: if there is none.
    """
    if source == "-" or Path(source).suffix.lower() == ".py":
        from cadcoder.part import describe
        from cadcoder.rewrite import solid_of
        from cadcoder.sandbox import Executor

        code = read_script(source)
        with Executor(workers=1, many=False) as executor:
            outcome = executor.run(code, exports=())
        solid = solid_of(outcome)
        if solid is None:
            raise InputError(f"{source} builds no solid: {describe(outcome)}")
        return solid
    from cadcoder.geometry.read import read_solid

    return read_solid(source)
