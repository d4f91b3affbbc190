"""True parts: the solid that a script should make, and the program where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cadcoder.errors import InputError

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.program.types import Program
    from cadcoder.sandbox import Executor


@dataclass(frozen=True)
class Truth:
    """A true part.

    Attributes:
        solid: the solid; its ``notes`` say where its mesh had to be mended.
        program: the commands that make it, for ACC_cmd and ACC_param; None where they are not known.
        brep: the exact shape in OpenCascade's text form, where a script made it.
    """

    solid: Solid
    program: Program | None = None
    brep: bytes | None = None


def program_of(code: str | None) -> Program | None:
    """Return the program of a script, or None where there is none or it is no sketch-extrude program."""
    from cadcoder.program.parse import parse

    try:
        return parse(code) if code is not None else None
    except InputError:
        return None


def read_truth(path: Path, executor: Executor | None, code: str | None = None) -> Truth:
    """Return the true part of a file; a script is run in the executor.

    Args:
        path: STEP, BREP or mesh file, or a script (``.py``).
        executor: runs a script; not needed for the others.
        code: the script that makes the true part, where it is known beside the file.

    Raises:
        InputError: if there is none.
    """
    if path.suffix.lower() != ".py":
        from cadcoder.geometry.read import read_solid

        return Truth(read_solid(path, fallback=True), program_of(code))
    from cadcoder.geometry.fallback import solid_or_voxels

    if executor is None:
        raise InputError(f"{path}: a true script needs the executor")
    text = read_code(path)
    outcome = executor.run(text, exports=())
    if not outcome.ok or outcome.vertices is None or outcome.faces is None:
        raise InputError(f"{path}: the true script makes no solid ({outcome.status}: {outcome.message})")
    return Truth(solid_or_voxels(outcome.vertices, outcome.faces), program_of(text), outcome.brep)


def read_code(path: Path) -> str:
    """Return the text of a script.

    Raises:
        InputError: if it cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a script: {error}") from None
