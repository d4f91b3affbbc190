"""From the script that the model wrote to the script that is handed over: style and real size.

A rewritten script is only handed over once the executor has run it and its solid is the same as before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from cadcoder.errors import InputError, NoValidScript
from cadcoder.part import Run, describe, exact_extents
from cadcoder.program.canonical import scaled
from cadcoder.program.editable import editable
from cadcoder.program.emit import emit
from cadcoder.program.parse import parse

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.program import Program
    from cadcoder.sandbox import Outcome
    from cadcoder.sizes import Size

#: ``editable``: named numbers and a block a feature; ``plain``: short; ``raw``: as the model wrote it.
Style: TypeAlias = Literal["editable", "plain", "raw"]
STYLES: tuple[Style, ...] = get_args(Style)

#: Two scripts make the same solid where their meshes overlap by this much ...
SAME_IOU = 0.998
#: ... and their exact volumes differ by no more than this fraction.
SAME_VOLUME = 1e-3


@dataclass(frozen=True, eq=False)
class Draft:
    """A script that ran: what :func:`finish` starts from and ends with."""

    code: str
    outcome: Outcome
    solid: Solid
    style: Style = "raw"
    unit: str = "mm"


def solid_of(outcome: Outcome) -> Solid | None:
    """Return the closed mesh of an outcome, or None where it is not ok or its mesh does not close."""
    from cadcoder.geometry.mesh import solid_from_triangles

    if not outcome.ok or outcome.vertices is None or outcome.faces is None:
        return None
    try:
        return solid_from_triangles(outcome.vertices, outcome.faces)
    except InputError:
        return None


def finish(draft: Draft, style: Style, size: Size | None, run: Run) -> Draft:
    """Return the draft in a style and a real size, proven to make the same solid.

    A style that cannot be proven falls back to a plainer one: ``editable``, ``plain``, ``raw``.

    Args:
        draft: a script that ran.
        style: how to write it.
        size: the real length of a side; None keeps the draft's numbers.
        run: the executor.

    Raises:
        NoValidScript: if it cannot be brought to the size in any style.
    """
    factor = size.factor(exact_extents(draft.outcome, draft.solid)) if size else 1.0
    unit = size.unit if size else draft.unit
    target = draft.solid.scaled(factor) if size else draft.solid
    volume = (draft.outcome.volume or draft.solid.volume) * factor**3
    if style == "raw" and not size:
        return draft
    reasons: list[str] = []
    for written, code in _versions(draft, style, factor, unit if size else None):
        if code == draft.code:
            return Draft(code, draft.outcome, draft.solid, written, unit)
        outcome = run(code, ())
        solid = solid_of(outcome)
        if solid is None:
            reasons.append(f"{written}: {describe(outcome)}")
        elif (iou := solid.iou(target)) < SAME_IOU:
            reasons.append(f"{written}: another solid (IoU {iou:.4f})")
        elif abs((outcome.volume or solid.volume) / volume - 1) > SAME_VOLUME:
            reasons.append(f"{written}: another volume")
        else:
            return Draft(code, outcome, solid, written, unit)
    if not size:
        return draft
    raise NoValidScript(f"the part was found, but its script cannot be brought to the size: {'; '.join(reasons)}")


def _versions(draft: Draft, style: Style, factor: float, unit: str | None) -> Iterator[tuple[Style, str]]:
    """Yield (style, script) from the one asked for to the plainest."""
    try:
        program: Program | None = parse(draft.code)
    except InputError:
        program = None
    if program is not None and style != "raw":
        if factor != 1.0:
            program = scaled(program, factor)
        longest = factor * max(exact_extents(draft.outcome, draft.solid))
        step = 10.0 ** (math.floor(math.log10(longest) + 1e-9) - 4)
        for name in STYLES[STYLES.index(style) : -1]:
            # The first rounding is one ten-thousandth of the part; a thin plate may need finer ones.
            for rounding in (step, step / 100, None):
                try:
                    code = _write(program, name, rounding, unit)
                except InputError:  # what this style cannot say, a plainer one can
                    break
                yield name, code
    if factor == 1.0:
        yield "raw", draft.code
    else:
        yield "raw", rescaled(draft.code, factor, draft.outcome.result_name, unit)


def _write(program: Program, style: Style, rounding: float | None, unit: str | None) -> str:
    """Return the program's text; where its numbers are real lengths, their unit is said at the top."""
    if style == "editable":
        return editable(program, unit=unit, step=rounding)
    text = emit(program, "plain", rounding)
    return f"# All lengths in {unit}.\n{text}" if unit else text


def rescaled(code: str, factor: float, result_name: str | None, unit: str | None = None) -> str:
    """Return a script with a last statement that scales its result about the origin.

    Args:
        code: a script that runs.
        factor: what its lengths are multiplied by.
        result_name: the variable that holds its result.
        unit: named in a comment.

    Raises:
        InputError: if the result is not in a variable.
    """
    if result_name is None or not result_name.isidentifier():
        raise InputError("the script cannot be scaled: its result is not in a variable")
    n = result_name
    return (
        f"{code.rstrip()}\n\n# Scaled to the real size.{f' All lengths in {unit}.' if unit else ''}\n"
        f"scale = {factor!r}\n"
        f'if hasattr({n}, "newObject"):\n'
        f"    {n} = {n}.newObject([shape.scale(scale) for shape in {n}.vals()])\n"
        f"else:\n"
        f"    {n} = {n}.scale(scale)\n"
    )
