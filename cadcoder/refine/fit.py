"""Fit a script's numbers to a picture: pattern search over fast solids, drawn and compared.

A picture of a part is a measurement. The search moves one variable (or one shared length) at a time, keeps what makes
the drawing more like the picture and shortens the steps that do not; it never returns anything worse than it was
given, by its own measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program import emit, parse, scaled
from cadcoder.refine.numbers import Numbers
from cadcoder.refine.starts import simple_parts

if TYPE_CHECKING:
    from cadcoder.render.compare import Observation

#: Time limit of a search, how many scripts are fitted a little, and how many of them to the end.
SECONDS, FITTED, FINALISTS = 4.0, 6, 2
#: Below this likeness a fitted script has the wrong features.
POOR = 0.88
#: Longest side of what is returned, in the program's unit.
LONGEST = 100.0
#: First step as a fraction of a length, its least size, and where the search stops, for a part of 100.
FIRST_STEP, LEAST_FIRST_STEP, LAST_STEP = 0.12, 2.0, 0.2
#: A gain in likeness smaller than this is noise of the drawing.
LEAST_GAIN = 1e-5
#: Hops out of local optima: how many at most, their size (of the logarithm), and the likeness that needs none.
MOST_HOPS, HOP, GOOD_ENOUGH = 12, 0.3, 0.982
#: Rounding to halves or whole numbers is kept where it costs less than this in likeness.
ROUNDING_COST = 5e-4


@dataclass
class Fit:
    """What a search found.

    Attributes:
        code: the best script.
        likeness: how alike its drawing and the picture are, in [0, 1].
        first: the same for the script that it started from.
        tried: number of solids drawn.
    """

    code: str
    likeness: float
    first: float
    tried: int = 0
    _seen: dict[str, float] = field(default_factory=dict, repr=False)


def refine(codes: list[str], observation: Observation, *, seconds: float = SECONDS, seed: int = 0) -> Fit | None:
    """Fit the best of several scripts to a picture.

    A rough first guess with the right features beats a close one with the wrong ones, and only fitting tells
    which it is: the few that look best are all fitted a little, and the best two of those to the end. Where none
    of them comes near the picture, simple parts are tried too.

    Args:
        codes: scripts that run, the one most like the picture first.
        observation: the picture, prepared.
        seconds: time limit of the whole search.
        seed: of the order in which numbers are tried.

    Returns:
        The best fit, or None where no script can be read as a program or none got better.
    """
    start = time.monotonic()
    heat = [fit(code, observation, seconds=0.5 * seconds / FITTED, seed=seed, hops=0) for code in codes[:FITTED]]
    if max((f.likeness for f in heat if f is not None), default=0.0) < POOR:
        heat += [fit(code, observation, seconds=0.1 * seconds, seed=seed, hops=0) for code in simple_parts()]
    fits = sorted((f for f in heat if f is not None), key=lambda f: -f.likeness)
    if not fits:
        return None
    given = max((f.first for f in heat[: len(codes[:FITTED])] if f is not None), default=-1.0)
    final = []
    for i, found in enumerate(fits[:FINALISTS]):
        if i and fits[0].likeness >= GOOD_ENOUGH:
            break
        left = seconds - (time.monotonic() - start)
        again = fit(found.code, observation, seconds=left / (min(len(fits), FINALISTS) - i), seed=seed + 1)
        final.append(again if again is not None and again.likeness > found.likeness else found)
    best = max(final, key=lambda f: f.likeness)
    return best if best.likeness > given else None


def fit(
    code: str, observation: Observation, *, seconds: float = SECONDS, seed: int = 0, hops: int = MOST_HOPS
) -> Fit | None:
    """Fit one script, and return what was found; None for a script that cannot be read as a program.

    Args:
        code: a script.
        observation: the picture, prepared.
        seconds: time limit.
        seed: of the order in which numbers are tried.
        hops: how often the search may leave a local optimum.
    """
    try:
        start = emit(parse(code), "plain", 0.01)
    except InputError:
        return None

    def measure(text: str) -> float:
        return score(text, observation)

    deadline = time.monotonic() + seconds
    state = Fit(start, -1.0, -1.0)
    state.first = state.likeness = _score(start, measure, state)
    if state.first < 0:
        return None
    rng = np.random.default_rng(seed)
    for tied in (True, False):
        _search(state, Numbers(state.code, tied), measure, rng, deadline)
    _hop(state, measure, rng, deadline, hops)
    _round(state, measure)
    state.code = _rescaled(state.code)
    return state


def _score(code: str, measure: Callable[[str], float], state: Fit) -> float:
    """Return the likeness of a script, remembered."""
    known = state._seen.get(code)
    if known is not None:
        return known
    value = measure(code)
    state.tried += 1
    state._seen[code] = value
    return value


def score(code: str, observation: Observation) -> float:
    """Return how alike the drawing of a script and a picture are, or -1 where it builds nothing."""
    from cadcoder.geometry.build import build
    from cadcoder.render.compare import likeness

    try:
        return likeness(observation, build(parse(code), np.pi / 24))
    except InputError:
        return -1.0


def _search(
    state: Fit, numbers: Numbers, measure: Callable[[str], float], rng: np.random.Generator, deadline: float
) -> None:
    """Pattern search (Hooke and Jeeves, 1961) with a step of its own for each variable."""
    values = list(numbers.values)
    steps = [max(LEAST_FIRST_STEP, FIRST_STEP * abs(v)) for v in values]
    signs = [1.0] * len(values)
    while values and max(steps) >= LAST_STEP:
        for i in rng.permutation(len(values)):
            if steps[i] < LAST_STEP:
                continue
            if time.monotonic() > deadline:
                return
            for sign in (signs[i], -signs[i]):
                moved = values.copy()
                moved[i] += sign * steps[i]
                text = numbers.text(moved)
                score = _score(text, measure, state)
                if score > state.likeness + LEAST_GAIN:
                    state.code, state.likeness = text, score
                    values, signs[i] = moved, sign
                    steps[i] *= 1.5
                    break
            else:
                steps[i] *= 0.4


def _hop(state: Fit, measure: Callable[[str], float], rng: np.random.Generator, deadline: float, hops: int) -> None:
    """Leave a local optimum: shake some of the lengths, search again, and keep what is better."""
    for _ in range(hops):
        if state.likeness >= GOOD_ENOUGH or time.monotonic() > deadline:
            return
        numbers = Numbers(state.code)
        shaken = rng.random(len(numbers.values)) < 0.6
        factors = np.exp(rng.normal(0.0, HOP, len(numbers.values)) * shaken)
        text = numbers.text([v * f for v, f in zip(numbers.values, factors.tolist(), strict=True)])
        trial = Fit(text, _score(text, measure, state), state.first, _seen=state._seen)
        if trial.likeness < 0:
            continue
        _search(trial, Numbers(text), measure, rng, deadline)
        state.tried += trial.tried
        if trial.likeness > state.likeness + LEAST_GAIN:
            state.code, state.likeness = trial.code, trial.likeness


def _round(state: Fit, measure: Callable[[str], float]) -> None:
    """Round the numbers as far as the picture does not mind: to whole numbers, halves or tenths."""
    for step in (1.0, 0.5, 0.1):
        numbers = Numbers(state.code)
        rounded = numbers.text([max(round(v / step) * step, step) for v in numbers.values])
        score = _score(rounded, measure, state)
        if score >= state.likeness - ROUNDING_COST and score > state.first:
            state.code, state.likeness = rounded, score
            return


def _rescaled(code: str) -> str:
    """Return the script in the unit where the longest side is 100: a picture shows no size."""
    from cadcoder.geometry.build import build

    program = parse(code)
    size = float(np.ptp(build(program).bounds, axis=0).max())
    if abs(size - LONGEST) < 0.5:
        return code
    return emit(scaled(program, LONGEST / size), "plain", 0.01)
