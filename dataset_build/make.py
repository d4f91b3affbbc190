"""From a part to a row: build it, prove it, write it, draw it."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cadcoder.errors import CadCoderError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program import centered, emit, parse, scaled
from cadcoder.program.serialize import to_json
from cadcoder.program.snap import snap
from cadcoder.program.types import Program
from dataset_build.caption import caption
from dataset_build.parts import Part
from dataset_build.png import png
from dataset_build.readers.features import Box
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.regions import joined, on_grid, separated, united
from dataset_build.shards import Sample
from dataset_build.verify import FAITHFUL, compare_step, prove, run
from dataset_build.wish import Wish, as_wish

if TYPE_CHECKING:
    from dataset_build.guard import Guard
    from dataset_build.pictures import Pictures

#: The longest side of a real part in the set's own unit.
LONGEST = 100.0
#: A file's box and its solid's may differ by this fraction of the diagonal.
BOX_TOLERANCE = 1e-4
#: The depth beside a picture whose frame nobody knows: nothing is seen anywhere.
NO_DEPTH = png(np.zeros((112, 112, 1), np.uint8))
#: Grids that the numbers of a real part are tried on, coarsest first.
STEPS = (1.0, 0.5, 0.1, 0.05, 0.01, 0.001, 1e-4, 1e-6)
#: Two ways to put a program on a grid: the first reads better, the second parts no faces.
GRIDS: tuple[Callable[[Program, float, float, float], Program], ...] = (snap, on_grid)


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
    if verify == "executor":
        prove(made[2], made[0], made[1])
    return made


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
    solid, _ = run(part.code)
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


def snapped(program: Program, solid: Solid, exact: bool = True) -> tuple[Program, Solid, str]:
    """Return a real part in the set's unit and frame, on the coarsest grid that keeps its shape.

    Args:
        program: in the unit of its source.
        solid: what it builds.
        exact: whether the shape is compared; else only its volume, its bodies and its holes.

    Returns:
        The program (read back from the script, so that the two agree to the last digit), its solid, the script.

    Raises:
        Refused: ``CODE_DIFFERS`` where no form on any grid keeps the shape.
    """
    factor = LONGEST / float(solid.extents.max())
    truth = solid.scaled(factor)
    for form in (united, separated):
        try:
            moved = centered(joined(form(scaled(program, factor))))
            whole = build(moved)
        except CadCoderError:
            continue
        # The frame has moved; the shape may not have changed.
        placed = truth.translated(whole.bounds[0] - truth.bounds[0])
        tried = set()
        for step, grid in itertools.product(STEPS, GRIDS):
            try:
                code = emit(grid(moved, step, step, 0.0), dialect="plain", step=step / 2)
                if code in tried:
                    continue
                tried.add(code)
                again = parse(code)
                built = build(again)
            except InputError:
                continue  # a coarse grid can shrink something to nothing
            if not FAITHFUL < built.volume / placed.volume < 1 / FAITHFUL:
                continue  # saves the boolean: so unequal volumes cannot agree so well
            # Bodies and holes of the united form: in the source's own, regions that touch count apart.
            same = built.n_bodies == whole.n_bodies and built.genus == whole.genus
            if same and (not exact or placed.iou(built) >= FAITHFUL):
                return again, built, code
    raise Refused(Reason.CODE_DIFFERS, "", "no script was found that builds the same solid")


def _check_box(program: Program, solid: Solid, box: Box) -> None:
    stated = np.array(box)
    allowed = BOX_TOLERANCE * float(np.linalg.norm(stated[1] - stated[0]))
    if np.abs(solid.bounds - stated).max() > allowed:
        # The polygon of an arc may stop short of the box that the arc touches; a finer one tells.
        fine = build(program, arc_step=math.pi / 720)
        off = float(np.abs(fine.bounds - stated).max())
        if off > allowed:
            raise Refused(Reason.BOX_DIFFERS, "properties/bounding_box", f"off by {off:.4g}, allowed {allowed:.2g}")


def _pictures(solid: Solid, wish: Wish, number: int) -> Pictures:
    """Return the pictures of a part, as files."""
    from dataset_build.pictures import draw

    try:
        return draw(solid, wish, number)
    except InputError as e:
        raise Refused(Reason.RENDER_FAILED, "", str(e)) from e
