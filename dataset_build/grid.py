"""A real part in the set's unit, on the coarsest grid that keeps its shape.

Up to sixteen roundings are tried, from the coarsest. What each would change is estimated from its numbers first
(:class:`dataset_build.nearness.Original`), so that only those that can pass are built; one that is built is proved
where possible by a bound on its numbers, which is exact for a part of one extrude, and else by a boolean.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from cadcoder.errors import CadCoderError, InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program import centered, emit, parse, scaled
from cadcoder.program.compact import merged
from cadcoder.program.snap import snap
from cadcoder.program.types import Program
from dataset_build.nearness import Original, same_numbers
from dataset_build.readers.rejects import Reason, Refused
from dataset_build.regions import joined, on_grid, separated, united
from dataset_build.verify import FAITHFUL

#: The longest side of a real part in the set's own unit.
LONGEST = 100.0
#: Grids that the numbers of a real part are tried on, coarsest first.
STEPS = (1.0, 0.5, 0.1, 0.05, 0.01, 0.001, 1e-4, 1e-6)
#: Two ways to put a program on a grid: the first reads better, the second parts no faces.
GRIDS: tuple[Callable[[Program, float, float, float], Program], ...] = (snap, on_grid)
#: A rounding that is estimated to lose more than this share of the part is not built. What is allowed is 0.001, and of
#: 300 roundings of real parts none was estimated to lose more than 1.14 times what it did.
HOPELESS = 1.25e-3
#: Polygons are rounded where they are compared and where they are built: shares of a part are exact to this.
SLACK = 2e-6
#: Numbers of a script that differ by less than this fraction of the part's side are the same.
SAME = 1e-11
#: Volume, surface and centre of a part that was only moved agree to this.
MOVED = 1e-6


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
    given = scaled(program, factor)
    for form in (united, separated):
        try:
            judge = _Judge(given, truth, merged(centered(joined(form(given)))), exact)
        except CadCoderError:
            continue
        tried = set()
        for step, grid in itertools.product(STEPS, GRIDS):
            if judge.original.least_lost(step) > HOPELESS:
                continue
            try:
                made = grid(judge.moved, step, step, 0.0)
                if made in tried:
                    continue
                tried.add(made)
                built = judge.built(made)
                if built is None:
                    continue
                code = emit(made, dialect="plain", step=step / 2)
                again = parse(code)
                if not same_numbers(made, again, SAME * LONGEST):
                    built = judge.built(again)
                if built is not None:
                    return again, built, code
            except InputError:
                continue  # a coarse grid can shrink something to nothing
    raise Refused(Reason.CODE_DIFFERS, "", "no script was found that builds the same solid")


class _Judge:
    """Says whether a rounded program still is the part.

    Args:
        given: the source's program.
        truth: what it builds.
        moved: the same part in canonical form.
        exact: whether shapes are compared, or volumes alone.

    Raises:
        CadCoderError: if ``moved`` does not build.
    """

    def __init__(self, given: Program, truth: Solid, moved: Program, exact: bool) -> None:
        """Build the canonical form, unless it is a prism that was only moved."""
        self.moved = moved
        self.exact = exact
        self.single = len(moved.extrudes) == 1
        self.original = Original(moved, truth.volume)
        loops = [[len(list(p.loops())) for e in q.extrudes for p in e.sketch.profiles] for q in (given, moved)]
        if self.single and len(given.extrudes) == 1 and loops[0] == loops[1]:
            # Nothing was united, joined or dropped: the numbers can stand for the solid.
            self.intact = math.isclose(self.original.swept, truth.volume, rel_tol=MOVED)
            if self.intact:
                self.whole = self.placed = truth
                return
        self.whole = build(moved)
        # The frame has moved; the shape may not have changed.
        self.placed = truth.translated(self.whole.bounds[0] - truth.bounds[0])
        self.original = Original(moved, truth.volume, self.whole)
        self.intact = sum(loops[0]) == sum(loops[1]) and _same_solid(self.placed, self.whole)

    def built(self, program: Program) -> Solid | None:
        """Return the solid of a rounded program if it has the part's bodies, holes and shape, else None."""
        most = self.original.most_lost(program) if self.single or self.intact else math.inf
        if self.exact and self.intact and self.single:
            if most > (1 - FAITHFUL) / FAITHFUL + SLACK:
                return None  # exactly so much is lost, and the union is at most 1 / FAITHFUL of the part
        elif self.original.lost(program) > HOPELESS:
            return None
        made = build(program)
        volume = self.placed.volume
        if not FAITHFUL < made.volume / volume < 1 / FAITHFUL:
            return None  # saves the boolean: so unequal volumes cannot agree so well
        # Bodies and holes of the united form: in the source's own, regions that touch count apart.
        if _kind(made) != _kind(self.whole):
            return None
        if not self.exact:
            return made
        # With a difference of d, the union is no smaller than the part: IoU is 1 - d / union or more.
        if self.intact and most <= 1 - FAITHFUL - SLACK:
            return made
        return made if self._placed().iou(made) >= FAITHFUL else None

    def _placed(self) -> Solid:
        """Return the part in the frame of the canonical form."""
        if self.placed is self.whole:
            whole = build(self.moved)
            self.placed = self.placed.translated(whole.bounds[0] - self.placed.bounds[0])
        return self.placed


def _kind(solid: Solid) -> tuple[int, int]:
    """Return the number of bodies and of holes."""
    if len(solid.manifold.decompose()) == 1:
        return 1, solid.manifold.genus()  # as most are: one body without cavities, found at once
    return solid.n_bodies, solid.genus


def _same_solid(a: Solid, b: Solid) -> bool:
    """Whether the volume, the surface and the centre of two solids agree."""
    same = math.isclose(a.volume, b.volume, rel_tol=MOVED) and math.isclose(a.area, b.area, rel_tol=MOVED)
    return same and float(abs(a.centroid - b.centroid).max()) <= MOVED * LONGEST
