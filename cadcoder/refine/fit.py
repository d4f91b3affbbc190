"""Fit a script's numbers to a picture: pattern search over fast solids, drawn and compared.

A picture of a part is a measurement. The search moves one variable (or one shared length) at a time, keeps what makes
the drawing more like the picture and shortens the steps that do not; it never returns anything worse than it was
given, by its own measure. Its effort is counted in solids drawn, so that a seed gives the same script everywhere; the
time limit is there for machines that are slow or busy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program import emit, parse, scaled
from cadcoder.program.types import Arc, Program
from cadcoder.refine.numbers import Numbers
from cadcoder.refine.starts import simple_parts, varied

if TYPE_CHECKING:
    from cadcoder.render.compare import Observation

#: Solids drawn for one script, and for each further one, unless told otherwise; 100 take about a second.
TRIES, TRIES_MORE = 150, 50
#: How many scripts are fitted a little, how many of them to the end, and the share of the tries for the first.
FITTED, FINALISTS, HEAT = 8, 2, 0.5
#: Below this likeness a fitted script has the wrong features: simple parts are tried, so many times each.
POOR, SIMPLE_TRIES = 0.88, 30
#: Longest side of what is returned, in the program's unit.
LONGEST = 100.0
#: First step as a fraction of a length, its least size, and where the search stops, for a part of 100.
FIRST_STEP, LEAST_FIRST_STEP, LAST_STEP = 0.12, 2.0, 0.2
#: A gain in likeness smaller than this is noise of the drawing.
LEAST_GAIN = 1e-5
#: Hops out of local optima: how many at most, their size (of the logarithm), and the likeness that needs none.
MOST_HOPS, HOP, GOOD_ENOUGH = 12, 0.3, 0.982
#: What a number in a script costs in likeness when fits are ranked.
NUMBER_COST = 5e-4
#: An arc that rises less than this share of its chord is as good as a line.
FLAT = 3e-3
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: Rounding to halves or whole numbers is kept where it costs less than this in likeness.
ROUNDING_COST = 5e-4


#: Asks for a job by name and returns its future result.
Submit = Callable[..., "Future[Any]"]


@dataclass
class Fit:
    """What a search found.

    Attributes:
        code: the best script.
        likeness: how alike its drawing and the picture are, in [0, 1].
        first: the same for the script that it started from.
        tried: number of solids drawn.
        start: the script that was given.
        rest: other fits of the same search, the best first, for where the executor cannot run this one.
    """

    code: str
    likeness: float
    first: float
    tried: int = 0
    start: str = ""
    rest: tuple[Fit, ...] = ()


@dataclass
class _Judge:
    """Draws and compares, remembers what it has seen, and says when the effort is spent."""

    observation: Observation
    tries: int
    deadline: float
    bodies: int | None = None
    seen: dict[str, float] = field(default_factory=dict)
    tried: int = 0

    @property
    def spent(self) -> bool:
        return self.tried >= self.tries or time.monotonic() > self.deadline

    def score(self, code: str) -> float:
        """Return how alike the drawing of a script and the picture are.

        It is -1 where the script builds nothing, or a part in more pieces than the first one that was asked about: a
        gap that hardly shows would otherwise be as good as a joint. OpenCascade makes no arc through three points on a
        line, so that nearly flat ones count as nothing too.
        """
        from cadcoder.geometry.build import build
        from cadcoder.render.compare import likeness

        if code not in self.seen:
            self.tried += 1
            try:
                program = parse(code)
                if _has_flat_arc(program):
                    raise InputError("an arc is flat")
                solid = build(program, np.pi / 24)
                # The quick question first; only where there are several surfaces do crumbs and cavities matter.
                single = len(program.extrudes) == 1 or len(solid.manifold.decompose()) == 1
                pieces = 1 if single else solid.n_bodies
                if self.bodies is None:
                    self.bodies = pieces
                self.seen[code] = likeness(self.observation, solid) if pieces <= self.bodies else -1.0
            except InputError:
                self.seen[code] = -1.0
        return self.seen[code]


def refine(
    codes: list[str],
    observation: Observation,
    *,
    tries: int | None = None,
    seconds: float = 60.0,
    seed: int = 0,
    beat: float | None = None,
    submit: Submit | None = None,
) -> Fit | None:
    """Fit the best of several scripts to a picture.

    A rough first guess with the right features beats a close one with the wrong ones, and only fitting tells
    which it is: a few that look best, of several structures, are all fitted a little, and the best two of those to the
    end. Where none of them comes near the picture, simple parts are tried too.

    Args:
        codes: scripts that run, the one most like the picture first.
        observation: the picture, prepared.
        tries: solids to draw; None is ``TRIES``, and ``TRIES_MORE`` for each further script that is fitted. Simple
            parts come on top.
        seconds: time limit of the whole search.
        seed: of the order in which numbers are tried.
        beat: the likeness that a fit must exceed to be returned; None is that of the best script as it is.
        submit: where fits are done, as :meth:`cadcoder.refine.pool.Pool.submit`; None is here and one after the
            other. It makes no difference to what is found.

    Returns:
        The best fit, or None where no script can be read as a program or none got better than ``beat``.
    """
    deadline = time.monotonic() + seconds
    tried = varied(codes, FITTED)
    if tries is None:
        tries = TRIES + TRIES_MORE * max(0, len(tried) - 1)
    ask = submit or _at_once

    def start(code: str, share: float, seed: int, hops: int = 0) -> Future[Any]:
        left = max(0.0, deadline - time.monotonic())
        return ask("fit", code, observation, tries=int(share), seconds=left, seed=seed, hops=hops)

    def fitted(codes: list[str], share: float) -> list[Fit]:
        asked = [start(code, share, seed) for code in codes]
        return [found for future in asked if (found := future.result()) is not None]

    heat = fitted(tried, HEAT * tries / max(1, len(tried)))
    if beat is None:
        beat = max((f.first for f in heat), default=-1.0)
    if max((f.likeness for f in heat), default=0.0) < POOR:
        heat += fitted(simple_parts(observation), SIMPLE_TRIES)
    fits = sorted(heat, key=_merit, reverse=True)
    finalists = fits[:FINALISTS]
    share = (1 - HEAT) * tries / FINALISTS
    # With workers, the second final runs beside the first, even if that turns out good enough.
    ahead = len(finalists) if submit is not None and fits and fits[0].likeness < GOOD_ENOUGH else 1
    asked = [start(found.code, share, seed + 1, MOST_HOPS) for found in finalists[:ahead]]
    for i, found in enumerate(finalists):
        if max(f.likeness for f in fits[: i + 1]) >= GOOD_ENOUGH and i:
            for future in asked[i:]:
                future.cancel()
            break
        if i == len(asked):
            asked.append(start(found.code, share, seed + 1, MOST_HOPS))
        again: Fit | None = asked[i].result()
        if again is not None and again.likeness > found.likeness:
            fits[i] = replace(again, start=found.start)
    good = sorted((f for f in fits if f.likeness > beat), key=_merit, reverse=True)
    return replace(good[0], rest=tuple(good[1:])) if good else None


def _merit(fit: Fit) -> float:
    """Return what fits are ranked by: of two that look the same, the one that says less."""
    return fit.likeness - NUMBER_COST * len(_NUMBER.findall(fit.code))


def fit(
    code: str,
    observation: Observation,
    *,
    tries: int = TRIES,
    seconds: float = 30.0,
    seed: int = 0,
    hops: int = MOST_HOPS,
) -> Fit | None:
    """Fit one script, and return what was found; None for a script that cannot be read as a program.

    Args:
        code: a script.
        observation: the picture, prepared.
        tries: solids to draw at most (and a few more for rounding).
        seconds: time limit.
        seed: of the order in which numbers are tried.
        hops: how often the search may leave a local optimum.
    """
    judge = _Judge(observation, tries, time.monotonic() + seconds)
    try:
        start = emit(parse(code), "plain", 0.01)
    except InputError:
        return None
    first = judge.score(start)
    if first < 0:
        return None
    rng = np.random.default_rng(seed)
    best = (first, start)
    for tied in (True, False):
        best = _search(best, tied, judge, rng)
    best = _hop(best, judge, rng, hops)
    best = _rounded(best, first, judge)
    for likeness, text in (best, (first, start)):
        try:
            return Fit(_rescaled(text), likeness, first, judge.tried, code)
        except InputError:  # arcs as fine as they will be built may cross where coarse ones did not
            continue
    return None


def _has_flat_arc(program: Program) -> bool:
    for extrude in program.extrudes:
        for loop in extrude.sketch.loops():
            for arc in loop.curves:
                if isinstance(arc, Arc):
                    (ax, ay), (bx, by), (cx, cy) = arc.start, arc.mid, arc.end
                    chord2 = (cx - ax) ** 2 + (cy - ay) ** 2
                    if abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) < FLAT * chord2:
                        return True
    return False


def _at_once(job: str, *args: Any, **kwargs: Any) -> Future[Any]:
    """Fit here and now."""
    done: Future[Any] = Future()
    done.set_result(fit(*args, **kwargs))
    return done


def _search(best: tuple[float, str], tied: bool, judge: _Judge, rng: np.random.Generator) -> tuple[float, str]:
    """Return the better (likeness, script) by pattern search, with a step of its own for each variable.

    Source: Hooke and Jeeves, Journal of the ACM 8 (1961), with steps that grow again after a success.
    """
    numbers = Numbers(best[1], tied)
    values = list(numbers.values)
    steps = [max(LEAST_FIRST_STEP, FIRST_STEP * abs(v)) for v in values]
    signs = [1.0] * len(values)
    while values and max(steps) >= LAST_STEP:
        for i in rng.permutation(len(values)):
            if steps[i] < LAST_STEP:
                continue
            if judge.spent:
                return best
            for sign in (signs[i], -signs[i]):
                moved = values.copy()
                moved[i] += sign * steps[i]
                text = numbers.text(moved)
                score = judge.score(text)
                if score > best[0] + LEAST_GAIN:
                    best, values, signs[i] = (score, text), moved, sign
                    steps[i] *= 1.5
                    break
            else:
                steps[i] *= 0.4
    return best


def _hop(best: tuple[float, str], judge: _Judge, rng: np.random.Generator, hops: int) -> tuple[float, str]:
    """Leave a local optimum: shake some of the lengths, search again, and keep what is better."""
    for _ in range(hops):
        if best[0] >= GOOD_ENOUGH or judge.spent:
            break
        numbers = Numbers(best[1])
        shaken = rng.random(len(numbers.values)) < 0.6
        factors = np.exp(rng.normal(0.0, HOP, len(numbers.values)) * shaken)
        text = numbers.text([v * f for v, f in zip(numbers.values, factors.tolist(), strict=True)])
        score = judge.score(text)
        if score >= 0:
            found = _search((score, text), True, judge, rng)
            if found[0] > best[0] + LEAST_GAIN:
                best = found
    return best


def _rounded(best: tuple[float, str], first: float, judge: _Judge) -> tuple[float, str]:
    """Round the numbers as far as the picture does not mind: to whole numbers, halves or tenths."""
    for step in (1.0, 0.5, 0.1):
        numbers = Numbers(best[1])
        text = numbers.text([max(round(v / step) * step, step) for v in numbers.values])
        score = judge.score(text)
        if score >= best[0] - ROUNDING_COST and score > first:
            return score, text
    return best


def _rescaled(code: str) -> str:
    """Return the script in the unit where the longest side is 100: a picture shows no size."""
    from cadcoder.geometry.build import build

    program = parse(code)
    size = float(np.ptp(build(program).bounds, axis=0).max())
    if abs(size - LONGEST) < 0.5:
        return code
    return emit(scaled(program, LONGEST / size), "plain", 0.01)
