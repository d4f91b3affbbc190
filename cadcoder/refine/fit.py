"""Fit the numbers of scripts to a picture, and say which script it becomes.

A picture of a part is a measurement. The search (:mod:`cadcoder.refine.search`) moves one variable (or one shared
length) at a time, keeps what makes the drawing more like the picture and shortens the steps that do not; it never
returns anything worse than it was given, by its own measure. Its effort is counted in solids drawn, so that a seed
gives the same script everywhere; the time limit is there for machines that are slow or busy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program import emit, parse, scaled
from cadcoder.refine.poses import Guess, Views, is_free, posed_views, sharpened, small
from cadcoder.refine.search import Judge, hop, rounded, search, started, steps_for
from cadcoder.refine.starts import simple_parts, varied
from cadcoder.render.camera import Camera

if TYPE_CHECKING:
    from cadcoder.render.compare import Observation

#: Solids drawn for one script, and for each further one, unless told otherwise; 100 take about a second.
TRIES, TRIES_MORE = 150, 35
#: How many scripts are fitted a little, how many of them to the end, and the share of the tries for the first.
FITTED, FINALISTS, HEAT = 8, 2, 0.5
#: Where a picture can be compared pixel by pixel: the share of the tries for the first round, on the small canvas, and
#: for the second, and how many scripts go into that one.
HEAT_SHARP, SEMIFINAL, SEMIFINALISTS = 0.3, 0.35, 5
#: The likeness after the first round from which that is done: what has the wrong features must not be judged by pixels.
CLEAR = 0.9
#: Below this likeness a fitted script has the wrong features: simple parts are tried, so many times each.
POOR, SIMPLE_TRIES = 0.88, 30
#: What a free camera adds to the tries.
TRIES_CAMERA = 1.0
#: Longest side of what is returned, in the program's unit.
LONGEST = 100.0
#: Hops out of local optima at most.
MOST_HOPS = 12
#: How many of the best may change their structure, with how many drawings each, and from which effort on.
GROWN, GROW_TRIES, GROW_EFFORT = 2, 600, 1.0
#: Drawings and hops with which the better of them is fitted anew.
GROWN_TRIES, GROWN_HOPS = 120, 4
#: What a number in a script costs in likeness when fits are ranked.
NUMBER_COST = 5e-4
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


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
        cameras: where each picture is seen from.
        rest: other fits of the same search, the best first, for where the executor cannot run this one.
        exact: whether likenesses are pixel by pixel.
    """

    code: str
    likeness: float
    first: float
    tried: int = 0
    start: str = ""
    cameras: tuple[Camera, ...] = ()
    rest: tuple[Fit, ...] = ()
    exact: bool = False


def refine(
    guesses: Sequence[str | Guess],
    views: Observation | Views,
    *,
    tries: int | None = None,
    seconds: float = 60.0,
    seed: int = 0,
    beat: float | None = None,
    beat_exact: float | None = None,
    submit: Submit | None = None,
    effort: float = 1.0,
) -> Fit | None:
    """Fit the best of several scripts to a picture.

    A rough first guess with the right features beats a close one with the wrong ones, and only fitting tells
    which it is: a few that look best, of several structures, are all fitted a little, and the best two of those to the
    end. Where none of them comes near the picture, simple parts are tried too. Where the picture can be compared pixel
    by pixel (:attr:`Observation.sharp`) and something is near to it, that is done from the second of three rounds on;
    the likeness of what is found is then that.

    Args:
        guesses: scripts that run, with the cameras that they are seen from, the one most like the picture first; a
            script alone is seen from the views' own cameras.
        views: the picture, prepared, or several of the same part.
        tries: solids to draw; None is ``TRIES``, and ``TRIES_MORE`` for each further script that is fitted. Simple
            parts come on top.
        seconds: time limit of the whole search.
        seed: of the order in which numbers are tried.
        beat: the likeness that a fit must exceed to be returned; None is that of the best script as it is.
        beat_exact: the same where fits are compared pixel by pixel; None is ``beat``.
        submit: where fits are done, as :meth:`cadcoder.refine.pool.Pool.submit`; None is here and one after the
            other. It makes no difference to what is found.
        effort: how much is tried, as a factor.

    Returns:
        The best fit, or None where no script can be read as a program or none got better than ``beat``.
    """
    views = views if isinstance(views, tuple) else (views,)
    own = tuple(view.camera for view in views)
    entries: dict[str, Fit] = {}
    for guess in guesses:
        code, seen_from = (guess, own) if isinstance(guess, str) else (guess.code, guess.cameras)
        entries.setdefault(code, Fit(code, 0.0, 0.0, start=code, cameras=seen_from))
    tried = varied(list(entries), max(1, round(FITTED * min(effort, 2.0))))
    if tries is None:
        tries = round(effort * (TRIES + TRIES_MORE * max(0, len(tried) - 1)))
        if any(is_free(view) for view in views):
            tries = round(tries * (1 + TRIES_CAMERA))
    sharp, views = sharpened(views), small(views)
    coarse = views
    rounds = _Rounds(submit or _at_once, time.monotonic() + seconds)

    share = HEAT if sharp is None else HEAT_SHARP
    fits = rounds.fit([entries[code] for code in tried], views, share * tries / max(1, len(tried)), seed)
    if max((f.likeness for f in fits), default=0.0) < POOR:
        best = max(fits, key=lambda f: f.likeness, default=None)
        at = best.cameras if best else own
        (first, *_) = posed_views(views, at)
        simple = [Fit(code, 0.0, 0.0, start=code, cameras=at) for code in simple_parts(first)]
        fits += rounds.fit(simple, views, SIMPLE_TRIES, seed)
    fits.sort(key=_merit, reverse=True)
    share = 1 - share
    if sharp is not None and fits and fits[0].likeness >= CLEAR:
        fits = rounds.fit(fits[:SEMIFINALISTS], sharp, SEMIFINAL * tries / SEMIFINALISTS, seed)
        fits.sort(key=_merit, reverse=True)
        views, share = sharp, share - SEMIFINAL
        beat = beat if beat_exact is None else beat_exact
    if beat is None:
        beat = max((f.first for f in fits), default=-1.0)
    fits = rounds.finals(fits, views, share * tries / FINALISTS, seed + 1, ahead=submit is not None)
    fits.sort(key=_merit, reverse=True)
    if effort >= GROW_EFFORT and fits and fits[0].likeness < steps_for(views).good and not any(map(is_free, views)):
        fits = rounds.grown(fits, coarse, sharp, effort, seed + 2)
    good = [f for f in fits if f.likeness > (beat_exact if f.exact and beat_exact is not None else beat)]
    return replace(good[0], rest=tuple(good[1:])) if good else None


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Rounds of fits: who does them, and until when (by ``time.monotonic``)."""

    ask: Submit
    deadline: float

    def _start(self, entry: Fit, views: Views, tries: float, seed: int, hops: int = 0) -> Future[Any]:
        return self._ask("fit", entry, views, tries, seed=seed, hops=hops)

    def _ask(self, job: str, entry: Fit, views: Views, tries: float, **how: int) -> Future[Any]:
        seconds = max(0.0, self.deadline - time.monotonic())
        return self.ask(job, entry.code, posed_views(views, entry.cameras), tries=int(tries), seconds=seconds, **how)

    def fit(self, entries: Sequence[Fit], views: Views, tries: float, seed: int) -> list[Fit]:
        """Return what each becomes with so many tries; those that cannot be fitted are left out."""
        asked = [self._start(entry, views, tries, seed) for entry in entries]
        found = [(entry, future.result()) for entry, future in zip(entries, asked, strict=True)]
        return [replace(fit, start=entry.start) for entry, fit in found if fit is not None]

    def grown(self, fits: list[Fit], coarse: Views, sharp: Views | None, effort: float, seed: int) -> list[Fit]:
        """Return fits with a better one in front where a change of structure brings one.

        Args:
            fits: the best first.
            coarse: the pictures on the small canvas.
            sharp: the pictures pixel by pixel, where that can be.
            effort: how much is tried, as a factor.
            seed: of the order in which numbers are tried.
        """
        starts = fits[:GROWN]
        asked = [self._ask("grow", entry, coarse, effort * GROW_TRIES, seed=seed) for entry in starts]
        found = [(entry, future.result()) for entry, future in zip(starts, asked, strict=True)]
        known = [(entry, fit) for entry, fit in found if fit is not None]
        stayed = max((merit(fit.first, fit.start) for _, fit in known), default=0.0)
        changed = [replace(fit, start=entry.start) for entry, fit in known if fit.code != entry.code]
        best = max(changed, key=_merit, default=None)
        if best is None or _merit(best) <= stayed:
            return fits
        # Pixel by pixel only where it comes near.
        near = sharp is not None and best.likeness >= CLEAR
        again = self._start(best, sharp if sharp and near else coarse, effort * GROWN_TRIES, seed, GROWN_HOPS).result()
        if again is not None and (near or again.likeness > best.likeness):
            best = replace(again, start=best.start)
        # What was compared pixel by pixel is not given up for what was not.
        front = fits[0]
        if front.exact == best.exact and _merit(front) >= _merit(best):
            return fits
        return [best, *fits] if best.exact or not front.exact else fits

    def finals(self, fits: Sequence[Fit], views: Views, tries: float, seed: int, ahead: bool) -> list[Fit]:
        """Return fits with the first few fitted to the end, unless the first of them is good enough.

        Args:
            fits: the best first.
            views: the pictures.
            tries: of each.
            seed: of the order in which numbers are tried.
            ahead: whether the second is begun beside the first, even if that may turn out good enough.
        """
        good = steps_for(views).good
        fits = list(fits)
        entries = fits[:FINALISTS]
        first = len(entries) if ahead and fits and fits[0].likeness < good else 1
        asked = [self._start(entry, views, tries, seed, MOST_HOPS) for entry in entries[:first]]
        for i, entry in enumerate(entries):
            if i and max(f.likeness for f in fits[: i + 1]) >= good:
                for future in asked[i:]:
                    future.cancel()
                break
            if i == len(asked):
                asked.append(self._start(entry, views, tries, seed, MOST_HOPS))
            again: Fit | None = asked[i].result()
            if again is not None and again.likeness > entry.likeness:
                fits[i] = replace(again, start=entry.start)
        return fits


def merit(likeness: float, code: str) -> float:
    """Return what scripts are ranked by: of two that look the same, the one that says less."""
    return likeness - NUMBER_COST * len(_NUMBER.findall(code))


def _merit(fit: Fit) -> float:
    return merit(fit.likeness, fit.code)


def fit(
    code: str,
    views: Observation | Views,
    *,
    tries: int = TRIES,
    seconds: float = 30.0,
    seed: int = 0,
    hops: int = MOST_HOPS,
) -> Fit | None:
    """Fit one script, and return what was found; None for a script that cannot be read as a program.

    Args:
        code: a script.
        views: the picture, prepared, or several of the same part; each with the camera to begin with.
        tries: solids to draw at most (and a few more for rounding).
        seconds: time limit.
        seed: of the order in which numbers are tried.
        hops: how often the search may leave a local optimum.
    """
    views = views if isinstance(views, tuple) else (views,)
    judge = Judge(views, tries, time.monotonic() + seconds)
    start = started(code, judge)
    if start is None:
        return None
    rng = np.random.default_rng(seed)
    best = start
    for tied in (True, False):
        best = search(best, tied, judge, rng)
    best = hop(best, judge, rng, hops)
    best = rounded(best, start.likeness, judge)
    for state in (best, start):
        try:
            text = _rescaled(state.code)
        except InputError:  # arcs as fine as they will be built may cross where coarse ones did not
            continue
        exact = all(view.exact for view in views)
        return Fit(text, state.likeness, start.likeness, judge.tried, code, state.cameras, exact=exact)
    return None


def _at_once(job: str, *args: Any, **kwargs: Any) -> Future[Any]:
    """Fit here and now."""
    from cadcoder.refine.grow import grow

    done: Future[Any] = Future()
    done.set_result({"fit": fit, "grow": grow}[job](*args, **kwargs))
    return done


def _rescaled(code: str) -> str:
    """Return the script in the unit where the longest side is 100: a picture shows no size."""
    from cadcoder.geometry.build import build

    program = parse(code)
    size = float(np.ptp(build(program).bounds, axis=0).max())
    if abs(size - LONGEST) < 0.5:
        return code
    return emit(scaled(program, LONGEST / size), "plain", 0.01)
