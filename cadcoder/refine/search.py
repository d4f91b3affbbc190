"""Pattern search over a script's numbers: change one, build, draw, compare, keep what is more like the picture."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program import emit, parse
from cadcoder.program.types import Arc, Program
from cadcoder.refine.numbers import Numbers
from cadcoder.refine.poses import LAST_STEPS, Views, is_free, moved, seen_by
from cadcoder.render.camera import Camera

if TYPE_CHECKING:
    from cadcoder.render.mesh import Drawable

#: First steps of a free camera in a fit: azimuth, elevation, roll, field of view in degrees.
CAMERA_STEPS = (5.0, 4.0, 2.0, 8.0)
#: A gain in likeness smaller than this is noise of the drawing.
LEAST_GAIN = 1e-5
#: Size of a hop out of a local optimum (of the logarithm).
HOP = 0.3
#: An arc that rises less than this share of its chord is as good as a line.
FLAT = 3e-3
#: Rounding to halves or whole numbers is kept where it costs less than this in likeness.
ROUNDING_COST = 5e-4


@dataclass(frozen=True, slots=True)
class Steps:
    """How lengths are moved, for a part of 100.

    Attributes:
        first: first step as a fraction of a length.
        least_first: its least size.
        last: where the search stops.
        good: a likeness that needs no hops, and no other script.
        arc: angle between the points of an arc, in radians.
    """

    first: float
    least_first: float
    last: float
    good: float
    arc: float


#: On the small canvas, and pixel by pixel.
COARSE = Steps(0.12, 2.0, 0.2, 0.982, np.pi / 24)
SHARP = Steps(0.06, 0.7, 0.05, 0.995, np.pi / 36)


def steps_for(views: Views) -> Steps:
    """Return how lengths are moved for some pictures."""
    return SHARP if all(view.exact for view in views) else COARSE


@dataclass(frozen=True, slots=True)
class State:
    """A script, the cameras that it is seen from, and how alike it and the pictures are then."""

    likeness: float
    code: str
    cameras: tuple[Camera, ...]


@dataclass
class Judge:
    """Draws and compares, remembers what it has seen, and says when the effort is spent."""

    views: Views
    tries: int
    deadline: float
    bodies: int | None = None
    seen: dict[tuple[str, tuple[Camera, ...]], float] = field(default_factory=dict)
    tried: int = 0
    _made: tuple[str, dict[bool, Drawable] | None] = ("", None)

    def __post_init__(self) -> None:
        from cadcoder.geometry.build import Beginnings

        self.steps = steps_for(self.views)
        self._known = Beginnings()

    @property
    def spent(self) -> bool:
        """Whether the tries or the time are used up."""
        return self.tried >= self.tries or time.monotonic() > self.deadline

    def score(self, code: str, cameras: tuple[Camera, ...]) -> float:
        """Return how alike the drawings of a script and the pictures are, on average.

        It is -1 where the script builds nothing, or a part in more pieces than the first one that was asked about: a
        gap that hardly shows would otherwise be as good as a joint. OpenCascade makes no arc through three points on a
        line, so that nearly flat ones count as nothing too.
        """
        key = code, cameras
        if key not in self.seen:
            self.tried += 1
            if self._made[0] != code:
                self._made = code, self._make(code)
            parts = self._made[1]
            if parts is None:
                self.seen[key] = -1.0
            else:
                alike = [
                    seen_by(parts[view.seams], view, camera) for view, camera in zip(self.views, cameras, strict=True)
                ]
                self.seen[key] = sum(alike) / len(alike)
        return self.seen[key]

    def _make(self, code: str) -> dict[bool, Drawable] | None:
        """Return what a script builds, ready to be drawn with and without seams as the views need it."""
        from cadcoder.geometry.build import build
        from cadcoder.render.mesh import drawable

        try:
            program = parse(code)
            if _has_flat_arc(program):
                return None
            solid = build(program, self.steps.arc, self._known)
            # The quick question first; only where there are several surfaces do crumbs and cavities matter.
            single = len(program.extrudes) == 1 or len(solid.manifold.decompose()) == 1
            pieces = 1 if single else solid.n_bodies
            if self.bodies is None:
                self.bodies = pieces
            if pieces > self.bodies:
                return None
            return {seams: drawable(solid, seams=seams) for seams in {view.seams for view in self.views}}
        except InputError:
            return None


def started(code: str, judge: Judge) -> State | None:
    """Return a script as a search begins with it; None for one that cannot be read as a program or builds nothing."""
    try:
        text = emit(parse(code), "plain", 0.01)
    except InputError:
        return None
    cameras = tuple(view.camera for view in judge.views)
    start = State(judge.score(text, cameras), text, cameras)
    return start if start.likeness >= 0 else None


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


def search(best: State, tied: bool, judge: Judge, rng: np.random.Generator) -> State:
    """Return the best state by pattern search, with a step of its own for each number and each camera's angles.

    Source: Hooke and Jeeves, Journal of the ACM 8 (1961), with steps that grow again after a success.
    """
    numbers = Numbers(best.code, tied)
    lengths = len(numbers.values)
    free = [i for i, view in enumerate(judge.views) if is_free(view)]
    values = [*numbers.values, *[0.0] * (4 * len(free))]
    how = judge.steps
    steps = [max(how.least_first, how.first * abs(v)) for v in numbers.values] + [*CAMERA_STEPS] * len(free)
    least = [how.last] * lengths + [*LAST_STEPS] * len(free)
    signs = [1.0] * len(values)
    cameras = best.cameras

    def state(values: list[float]) -> State:
        posed = list(cameras)
        for k, i in enumerate(free):
            by = values[lengths + 4 * k : lengths + 4 * k + 4]
            posed[i] = moved(cameras[i], by) if any(by) else cameras[i]
        text, at = numbers.text(values[:lengths]), tuple(posed)
        return State(judge.score(text, at), text, at)

    while any(step >= last for step, last in zip(steps, least, strict=True)):
        for i in rng.permutation(len(values)):
            if steps[i] < least[i]:
                continue
            if judge.spent:
                return best
            for sign in (signs[i], -signs[i]):
                other = values.copy()
                other[i] += sign * steps[i]
                now = state(other)
                if now.likeness > best.likeness + LEAST_GAIN:
                    best, values, signs[i] = now, other, sign
                    steps[i] *= 1.5
                    break
            else:
                steps[i] *= 0.4
    return best


def hop(best: State, judge: Judge, rng: np.random.Generator, hops: int) -> State:
    """Leave a local optimum: shake some of the lengths, search again, and keep what is better."""
    for _ in range(hops):
        if best.likeness >= judge.steps.good or judge.spent:
            break
        numbers = Numbers(best.code)
        shaken = rng.random(len(numbers.values)) < 0.6
        factors = np.exp(rng.normal(0.0, HOP, len(numbers.values)) * shaken)
        text = numbers.text([v * f for v, f in zip(numbers.values, factors.tolist(), strict=True)])
        score = judge.score(text, best.cameras)
        if score >= 0:
            found = search(State(score, text, best.cameras), True, judge, rng)
            if found.likeness > best.likeness + LEAST_GAIN:
                best = found
    return best


def rounded(best: State, first: float, judge: Judge) -> State:
    """Round the numbers as far as the picture does not mind: to whole numbers, halves or tenths."""
    for step in (1.0, 0.5, 0.1):
        numbers = Numbers(best.code)
        text = numbers.text([max(round(v / step) * step, step) for v in numbers.values])
        score = judge.score(text, best.cameras)
        if score >= best.likeness - ROUNDING_COST and score > first:
            return State(score, text, best.cameras)
    return best
