"""Change the structure of a fitted program, a step at a time, where that makes its drawing much more like the picture.

Fitting moves the numbers of a script and never its structure. Here programs are tried that differ from it in one
feature (:mod:`cadcoder.refine.features`, where the picture says that one is missing) or in the kind of one loop
(:mod:`cadcoder.refine.reshape`). The few that look best are fitted a little, and the best of them is kept if it is
worth it. What is gained must be plain to see: many small steps that each explain a few pixels lead away from the part.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import emit, parse
from cadcoder.program.types import Extrude, Operation, Program
from cadcoder.refine.features import featured
from cadcoder.refine.fit import Fit, merit
from cadcoder.refine.poses import Views
from cadcoder.refine.reshape import reshaped
from cadcoder.refine.search import COARSE, Judge, State, search, started

_T = TypeVar("_T")

#: The gain in likeness, less what the numbers cost, that a change of structure must bring.
WORTH = 0.012
#: A likeness that needs no change: the true part has hardly a gain of so much more.
NEAR = COARSE.good - WORTH
#: Changes one after the other, how many of the programs that differ by one are fitted, and with how many drawings.
ROUNDS, FITTED, TRIES = 4, 4, 30
#: Of so many programs that look best, those with one feature more are tried in pairs.
PAIRED = 6
#: What a cut that ends within the part costs when neighbours are ranked: what is not seen is taken to go through.
BLIND_COST = 1e-3
#: Drawings with which all numbers of what was kept are fitted before the next change.
SETTLED = 60


def grow(code: str, views: Views, *, tries: int, seconds: float, seed: int = 0) -> Fit | None:
    """Return what a script becomes by changes of its structure; itself where none is worth it.

    Args:
        code: a script that was fitted.
        views: the pictures on the small canvas, each with the camera that it is seen from.
        tries: solids to draw at most.
        seconds: time limit.
        seed: of the order in which numbers are tried.

    Returns:
        The fit, whose ``first`` is the likeness at the beginning; None for what cannot be read as a program.
    """
    judge = Judge(views, tries, time.monotonic() + seconds)
    start = started(code, judge)
    if start is None:
        return None
    state = start
    rng = np.random.default_rng(seed)
    for _ in range(ROUNDS):
        if state.likeness >= NEAR or judge.spent:
            break
        changed = _changed(state, judge, rng)
        if worth(changed) < worth(state) + WORTH:
            break
        state = _within(changed, SETTLED, False, judge, rng)
    kept = code if state is start else state.code
    return Fit(kept, state.likeness, start.likeness, judge.tried, code, start.cameras)


def worth(state: State) -> float:
    """Return the likeness less what the numbers of the script cost."""
    return merit(state.likeness, state.code)


def _changed(state: State, judge: Judge, rng: np.random.Generator) -> State:
    """Return the best that was found one change away."""
    program = parse(state.code)
    features: dict[str, Extrude] = {}
    others: dict[str, None] = {}
    blind: dict[str, int] = {}
    with contextlib.suppress(InputError):
        span = np.ptp(build(program, judge.steps.arc).bounds, axis=0)
        for other in featured(program, judge.views, state.cameras):
            _note(other, other.extrudes[-1], features)
        for other in reshaped(program):
            _note(other, None, others)
        blind = {text: int(is_blind(extrude, span)) for text, extrude in features.items()}

    def rank(start: State) -> float:
        return worth(start) - BLIND_COST * blind.get(start.code, 0)

    found = sorted(_drawn([*features, *others], state, judge), key=rank, reverse=True)
    # Of features that differ in depth alone the best speaks for all.
    first: dict[Any, str] = {}
    for start in found:
        if (extrude := features.get(start.code)) is not None:
            first.setdefault((extrude.sketch, extrude.operation), start.code)
    found = [start for start in found if start.code not in features or start.code in first.values()]
    # Two features that each explain a little, as the openings between three ribs do, may be worth it together.
    best = [start.code for start in found[:PAIRED] if start.code in features and worth(start) > worth(state)]
    pairs: dict[str, int] = {}
    for a, b in itertools.combinations(best, 2):
        _note(Program((*program.extrudes, features[a], features[b])), blind[a] + blind[b], pairs)
    blind |= pairs
    found = sorted([*found, *_drawn([*pairs], state, judge)], key=rank, reverse=True)
    # What is worse before its numbers are fitted seldom becomes worth it: 2 of 35 changes, for half of the fits.
    promising = [start for start in found[:FITTED] if worth(start) > worth(state)]
    fitted = [(_within(start, TRIES, True, judge, rng), BLIND_COST * blind.get(start.code, 0)) for start in promising]
    return max(((state, 0.0), *fitted), key=lambda f: worth(f[0]) - f[1])[0]


def is_blind(extrude: Extrude, span: npt.NDArray[np.float64]) -> bool:
    """Return whether an extrude is a cut that does not go through a part with the extents ``span`` (3,)."""
    across = abs(np.array(extrude.sketch.plane.axes()[2])) @ span
    return extrude.operation is Operation.CUT and extrude.forward + extrude.backward < float(across)


def _note(program: Program, value: _T, texts: dict[str, _T]) -> None:
    """Note a value for a program's script, if it can be written."""
    with contextlib.suppress(InputError):
        texts.setdefault(emit(program, "plain", 0.01), value)


def _drawn(texts: Sequence[str], state: State, judge: Judge) -> list[State]:
    """Return those scripts that build something, as far as the effort goes."""
    found = []
    for text in texts:
        if judge.spent:
            break
        likeness = judge.score(text, state.cameras)
        if likeness >= 0:
            found.append(State(likeness, text, state.cameras))
    return found


def _within(state: State, tries: int, tied: bool, judge: Judge, rng: np.random.Generator) -> State:
    """Fit numbers with some of the drawings that are left."""
    limit = judge.tries
    judge.tries = min(limit, judge.tried + tries)
    found = search(state, tied, judge, rng)
    judge.tries = limit
    return found
