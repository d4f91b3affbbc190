"""From a part to a row: build it, prove it, write it, draw it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np

from cadcoder.errors import CadCoderError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program import compact, emit, merge_new_bodies, parse
from cadcoder.program.serialize import to_json
from cadcoder.program.types import Arc, Circle, Program
from dataset_build.caption import caption
from dataset_build.grid import snapped
from dataset_build.parts import Part
from dataset_build.png import png
from dataset_build.readers.features import Box
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.shards import Sample
from dataset_build.verify import FAITHFUL, compare_step, prove, run
from dataset_build.wish import Wish, as_wish

if TYPE_CHECKING:
    from dataset_build.guard import Guard
    from dataset_build.pictures import Pictures

#: A file's box and its solid's may differ by this fraction of the diagonal.
BOX_TOLERANCE = 1e-4
#: The polygon of an arc stops short of it by 0.00095 of its radius; ten times that leaves room for what cuts do.
ARC_ERROR = 0.01
#: The depth beside a picture whose frame nobody knows: nothing is seen anywhere.
NO_DEPTH = png(np.zeros((112, 112, 1), np.uint8))


def make(
    part: Part,
    name: str,
    images: bool | Wish = True,
    number: int = 0,
    verify: str = "fast",
    guard: Guard | None = None,
) -> Sample | Reject:
    """Return the row for a part, or why there is none.

    Args:
        part: what was read or drawn.
        name: what a reject calls it.
        images: whether to draw it, or which pictures to draw.
        number: of the part within its set; random pictures hang on it.
        verify: how to prove the script, one of :data:`dataset_build.verify.MODES`.
        guard: keeps held-out parts out.
    """
    try:
        program, solid, code = _as_it_is(part) if part.program is None else _proved(part, part.program, verify)
        sign = guard.check(solid) if guard else None
        drawn = _pictures(solid, as_wish(images), number) if images else None
    except Refused as e:
        return e.at(name)
    text = json.dumps(to_json(program), separators=(",", ":")) if program is not None else ""
    words = _caption(program, solid)
    if drawn is None:
        return Sample(None, code, text, words, part.source, part.seed, None, sign=sign)
    several = (drawn.images, drawn.views, drawn.maps)
    image, depth = drawn.image, drawn.depth
    if part.picture is not None:
        image, depth = part.picture, depth if part.framed else depth and NO_DEPTH
    return Sample(image, code, text, words, part.source, part.seed, depth, *several, sign)


def _proved(part: Part, program: Program, verify: str) -> tuple[Program, Solid, str]:
    """Return (program, its solid, a script that is known to build it)."""
    solid = part.solid if part.solid is not None else _built(program)
    if part.box is not None:
        _check_box(program, solid, part.box)
    if part.step is not None:
        compare_step(part.step, solid, program, part.step_iou)
    if part.code and verify == "executor":
        prove(part.code, program, solid)  # that its text was understood
    if part.synthetic:
        made = program, solid, emit(program, dialect="plain")
        if verify != "none":
            _read_again(*made)
    else:
        made = snapped(program, solid, exact=verify != "none")
    if part.dialect != "plain":
        made = _in_dialect(made[0], made[1], part.dialect)
        if verify != "none":
            _read_again(*made)
    if verify == "executor":
        prove(made[2], made[0], made[1])
    return made


def _in_dialect(program: Program, solid: Solid, dialect: str) -> tuple[Program, Solid, str]:
    """Return a part as it is said in another dialect: (the program that the script is of, its solid, the script)."""
    said = compact(program) if dialect == "short" else merge_new_bodies(program)
    return said, solid, emit(said, dialect)


def _read_again(program: Program, solid: Solid, code: str) -> None:
    """Refuse a script that says something else than its program."""
    try:
        again = parse(code)
        if again != program and solid.iou(build(again)) < FAITHFUL:
            raise Refused(Reason.CODE_DIFFERS, "", "the script builds another solid")
    except InputError as e:
        raise Refused(Reason.CODE_DIFFERS, "", str(e)) from e


def _as_it_is(part: Part) -> tuple[None, Solid, str]:
    """Return (None, the solid, the script) of a script that is kept as it was written: it has run, and is valid."""
    solid = part.solid if part.solid is not None else run(part.code)[0]
    if part.step is not None:
        compare_step(part.step, solid, None, part.step_iou)
    return None, solid, part.code


def _caption(program: Program | None, solid: Solid) -> str:
    if program is not None:
        return caption(program, solid.extents.tolist(), solid.n_bodies)
    words = f"part {' x '.join(f'{v:.4g}' for v in sorted(solid.extents.tolist(), reverse=True))}"
    return words if solid.n_bodies < 2 else f"{words}, in {solid.n_bodies} separate bodies"


def _built(program: Program) -> Solid:
    try:
        return build(program)
    except CadCoderError as e:
        raise Refused(Reason.BUILD_FAILED, "", str(e)) from e


def _check_box(program: Program, solid: Solid, box: Box) -> None:
    stated = np.array(box)
    allowed = BOX_TOLERANCE * float(np.linalg.norm(stated[1] - stated[0]))
    off = float(np.abs(solid.bounds - stated).max())
    if off > allowed:
        # The polygon of an arc may stop short of the box that the arc touches; a finer one tells, where the arcs are
        # large enough to be the reason.
        if off <= allowed + ARC_ERROR * _largest_radius(program):
            off = float(np.abs(build(program, arc_step=math.pi / 720).bounds - stated).max())
        if off > allowed:
            raise Refused(Reason.BOX_DIFFERS, "properties/bounding_box", f"off by {off:.4g}, allowed {allowed:.2g}")


def _largest_radius(program: Program) -> float:
    curves = [c for e in program.extrudes for loop in e.sketch.loops() for c in loop.curves]
    found = [c.circle() for c in curves if isinstance(c, Arc)]
    return max([0.0, *(c.radius for c in curves if isinstance(c, Circle)), *(f[1] for f in found if f is not None)])


def _pictures(solid: Solid, wish: Wish, number: int) -> Pictures:
    """Return the pictures of a part, as files."""
    from dataset_build.pictures import draw

    try:
        return draw(solid, wish, number)
    except InputError as e:
        raise Refused(Reason.RENDER_FAILED, "", str(e)) from e
