"""Which script of a picture's candidates it becomes: run them all, compare, choose, fit, and finish.

Nothing is chosen that has not been run: candidates that build nothing are dropped, the rest are drawn and compared with
the pictures, and what a fit finds is run and compared once more, with the solid that the executor built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cadcoder.options import Options
from cadcoder.part import Candidate, NothingRuns, Origin, Part
from cadcoder.rewrite import Draft, finish, solid_of
from cadcoder.sizes import Size

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.refine.poses import Guess, Views
    from cadcoder.sandbox import Outcome

#: Where none of the candidates runs, so many more rounds are sampled, of at least this many each.
MORE_ROUNDS, MORE_CANDIDATES = 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What choosing has at hand.

    Attributes:
        run: runs a script in the executor; with the kinds of files to export.
        run_all: runs several at once.
        ask: asks a fitter for a job by name (:mod:`cadcoder.refine.worker`).
        draft: has the model write so many scripts more, from a seed.
    """

    run: Callable[..., Outcome]
    run_all: Callable[[Sequence[str]], Iterable[Outcome]]
    ask: Callable[..., Future[Any]]
    draft: Callable[[int, int], Sequence[str]]


def choose(
    codes: Sequence[str], views: Views, nearest: Future[list[Guess]] | None, means: Means, options: Options
) -> Part:
    """Return the part that some pictures show, without the name of the model.

    Args:
        codes: what the model wrote, its best guess first.
        views: what is seen in the pictures.
        nearest: programs of the bank that look like them, the best first; None where there is no bank.
        means: what is at hand.
        options: how.

    Raises:
        NothingRuns: if nothing that was written or found runs.
    """
    tried = _judged(codes, views, {}, means)
    # With a bank there is something to hand over already.
    rounds = 0 if nearest is None else MORE_ROUNDS
    while not any(c.solid for c in tried.values()) and rounds < MORE_ROUNDS:
        rounds += 1
        more = means.draft(max(MORE_CANDIDATES, options.candidates), options.seed + rounds)
        tried = _judged(more, views, tried, means)
    candidates = tuple(tried.values())
    retrieved = nearest.result() if nearest is not None else []
    scores = [c.merit for c in candidates]
    chosen: int | None = scores.index(max(scores))
    best: Candidate | None = candidates[chosen or 0]
    origin: Origin = "model"
    if best is None or best.solid is None:  # a program of the bank still does
        chosen, best, origin = None, _first_that_runs(retrieved, views, means), "bank"
    if best is None or best.solid is None:
        raise NothingRuns(candidates)
    draft, seen, first = Draft(best.code, best.outcome, best.solid), best.guess, best.guess
    if options.fits:
        running = [c.guess for c in candidates if c.guess is not None]
        fitted = _fitted(best, views, running, retrieved, means, options)
        if fitted is not None:
            draft, seen, first, origin = fitted
    done = finish(draft, options.style, options.size if isinstance(options.size, Size) else None, means.run)
    return Part(
        code=done.code,
        solid=done.solid,
        outcome=done.outcome,
        unit=done.unit,
        likeness=seen.likeness if seen else None,
        style=done.style,
        candidates=candidates,
        chosen=chosen,
        origin=origin,
        seed=options.seed,
        cameras=seen.cameras if seen else (),
        first=first,
    )


def _ask_likeness(code: str, solid: Solid, views: Views, means: Means, search: bool = True) -> list[Future[Guess]]:
    """Ask how alike a part and the pictures are: on the small canvas, and pixel by pixel where that can be told."""
    from cadcoder.refine.poses import sharpened, small

    sharp = sharpened(views)
    kinds = [small(views)] if sharp is None else [small(views), sharp]
    return [means.ask("likeness", code, solid, kind, search=search) for kind in kinds]


def _candidate(code: str, outcome: Outcome, solid: Solid, asked: Sequence[Future[Guess]]) -> Candidate:
    """Return a candidate with what :func:`_ask_likeness` asked for."""
    guess, *exact = (future.result() for future in asked)
    return Candidate(code, outcome, solid, guess, exact[0].likeness if exact else None)


def _first_that_runs(guesses: Sequence[Guess], views: Views, means: Means) -> Candidate | None:
    """Return the first of a few programs that the executor runs, None where none does."""
    from cadcoder.refine.poses import posed_views

    for guess in guesses[:MORE_CANDIDATES]:
        outcome = means.run(guess.code)
        solid = solid_of(outcome)
        if solid is not None:
            posed = posed_views(views, guess.cameras)
            return _candidate(guess.code, outcome, solid, _ask_likeness(guess.code, solid, posed, means, search=False))
    return None


def _judged(codes: Sequence[str], views: Views, known: dict[str, Candidate], means: Means) -> dict[str, Candidate]:
    """Return the candidates by text, those known first; each text runs once."""
    texts = [text for text in dict.fromkeys(f"{code.strip()}\n" for code in codes) if text not in known]
    judged = dict(known)
    running: list[tuple[Candidate, Solid, list[Future[Guess]]]] = []
    for text, outcome in zip(texts, means.run_all(texts), strict=True):
        solid = solid_of(outcome)
        judged[text] = Candidate(text, outcome, solid)
        if solid is not None:
            running.append((judged[text], solid, _ask_likeness(text, solid, views, means)))
    for candidate, solid, asked in running:
        judged[candidate.code] = _candidate(candidate.code, candidate.outcome, solid, asked)
    return judged


def _fitted(
    best: Candidate,
    views: Views,
    running: Sequence[Guess],
    retrieved: Sequence[Guess],
    means: Means,
    options: Options,
) -> tuple[Draft, Guess, Guess | None, Origin] | None:
    """Return what can be fitted best to the pictures, where that beats the best candidate.

    Returns:
        The script to hand over, how it looks, the guess that it was fitted from, and where that comes from.
    """
    from cadcoder.refine import refine
    from cadcoder.refine.poses import posed_views

    guesses = sorted([*running, *retrieved], key=lambda guess: -guess.likeness)
    found = refine(
        guesses,
        views,
        seed=options.seed,
        beat=best.likeness or 0.0,
        beat_exact=best.exact,
        submit=means.ask,
        effort=options.tries,
    )
    for fit in (found, *found.rest) if found is not None else ():
        outcome = means.run(fit.code)
        solid = solid_of(outcome)
        if solid is None:
            continue
        asked = _ask_likeness(fit.code, solid, posed_views(views, fit.cameras), means, search=False)
        fitted = _candidate(fit.code, outcome, solid, asked)
        # By the measure that the fit went by.
        better = fitted.merit > best.merit if fit.exact else (fitted.likeness or 0.0) > (best.likeness or 0.0)
        if better and fitted.guess is not None:
            starts = {guess.code: guess for guess in reversed(guesses)}
            origin: Origin = "shape"
            if fit.start in starts:
                origin = "model" if fit.start in {guess.code for guess in running} else "bank"
            return Draft(fit.code, outcome, solid, "plain"), fitted.guess, starts.get(fit.start), origin
    return None
