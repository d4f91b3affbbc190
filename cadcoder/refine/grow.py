"""Change the structure of a fitted program, a step at a time, where that makes its drawing much more like the picture.

Fitting moves the numbers of a script and never its structure. Here programs are tried that differ from it in one
feature (:mod:`cadcoder.refine.features`, where the picture says that one is missing) or in the kind of one loop
(:mod:`cadcoder.refine.reshape`). The few that look best are fitted a little, and the best of them is kept if it is
worth it. What is gained must be plain to see: many small steps that each explain a few pixels lead away from the part.
"""

from __future__ import annotations

import contextlib
import time

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program import emit, parse
from cadcoder.refine.features import featured
from cadcoder.refine.fit import Fit, merit
from cadcoder.refine.poses import Views
from cadcoder.refine.reshape import reshaped
from cadcoder.refine.search import COARSE, Judge, State, search, started

#: The gain in likeness, less what the numbers cost, that a change of structure must bring.
WORTH = 0.012
#: A likeness that needs no change: the true part has hardly a gain of so much more.
NEAR = COARSE.good - WORTH
#: Changes one after the other, how many of the programs that differ by one are fitted, and with how many drawings.
ROUNDS, FITTED, TRIES = 4, 4, 30
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
    found = []
    for text in _neighbours(state, judge.views):
        if judge.spent:
            break
        likeness = judge.score(text, state.cameras)
        if likeness >= 0:
            found.append(State(likeness, text, state.cameras))
    found.sort(key=worth, reverse=True)
    # What is worse before its numbers are fitted seldom becomes worth it: 2 of 35 changes, for half of the fits.
    promising = [start for start in found[:FITTED] if worth(start) > worth(state)]
    return max((state, *(_within(start, TRIES, True, judge, rng) for start in promising)), key=worth)


def _within(state: State, tries: int, tied: bool, judge: Judge, rng: np.random.Generator) -> State:
    """Fit numbers with some of the drawings that are left."""
    limit = judge.tries
    judge.tries = min(limit, judge.tried + tries)
    found = search(state, tied, judge, rng)
    judge.tries = limit
    return found


def _neighbours(state: State, views: Views) -> list[str]:
    """Return the scripts one change away."""
    program = parse(state.code)
    texts: dict[str, None] = {}
    with contextlib.suppress(InputError):
        for other in (*featured(program, views, state.cameras), *reshaped(program)):
            with contextlib.suppress(InputError):
                texts[emit(other, "plain", 0.01)] = None
    return list(texts)
