"""Ask a bank for what is like some pictures: programs, and the cameras that they would be seen from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cadcoder.errors import InputError
from cadcoder.refine.bank import DRAWN, Bank, describe_drawn, describe_observation, describe_turned, load_bank
from cadcoder.refine.poses import GRID, Guess, Views, find_camera, is_free, other_cameras, seen_by
from cadcoder.refine.viewbank import ViewBank
from cadcoder.render.camera import GENCAD, Camera
from cadcoder.render.mesh import Drawable, SolidLike, drawable

#: Nearest programs that are drawn for a picture seen from below, and for pictures from anywhere.
DRAWN_TURNED, DRAWN_VIEWS = 30, 60
#: How many of the most alike have their cameras searched for, and with how many drawings each.
AIMED, AIMS = 8, 16
#: Of how many guesses programs that are like them are looked for, how many for each, and how many are aimed.
KIN, DRAWN_KIN, AIMED_KIN = 4, 40, 3
#: The camera that the bank was drawn with.
CORNER = replace(GENCAD, tight=True, aspect=None)
#: Pictures are rather taken from above: from below a part must look more like it by this much.
BELOW_COST = 0.03


@functools.lru_cache(maxsize=1)
def _kept(path: str) -> Bank:
    return load_bank(Path(path))


def retrieve(path: str, views: Views, count: int) -> list[Guess]:
    """Return the programs of a bank that are most like some pictures of one part, the most alike first.

    Args:
        path: of ``bank.npz``; the bank is kept for the next call.
        views: the pictures, prepared.
        count: how many to return.

    Raises:
        InputError: if the bank cannot be read.
    """
    bank = _kept(path)
    found: list[Guess] = []
    if len(views) == 1:
        found += _from_the_corner(bank, views)
    if bank.views is not None and any(is_free(view) for view in views):
        found += _from_anywhere(bank, bank.views, views)
    elif len(views) > 1:
        found += _first_then_others(bank, views)
    found.sort(key=lambda guess: -guess.likeness)
    if any(is_free(view) for view in views):
        found[:AIMED] = [aimed(guess, views) for guess in found[:AIMED]]
        found.sort(key=lambda guess: -guess.likeness)
        found += _akin(bank, found, views)
        found.sort(key=lambda guess: -guess.likeness)
    return found[:count]


def _from_the_corner(bank: Bank, views: Views) -> list[Guess]:
    """Return what is like one picture, taken from the corner that the bank was drawn from, or from below it."""
    (view,) = views
    upright, below = describe_observation(view), describe_turned(view)
    cameras = other_cameras(view)
    found = [guess for text in bank.nearest(upright, DRAWN) if (guess := _guess(text, views, (cameras[0],)))]
    if bank.distance(below) >= bank.distance(upright):
        return found
    turned = [guess for text in bank.nearest(below, DRAWN_TURNED) if (guess := _guess(text, views, (cameras[1],)))]
    best, best_below = (max((guess.likeness for guess in some), default=0.0) for some in (found, turned))
    # Among the starts of a picture from above, those from below would only take others' places.
    return found + turned if best_below > best + BELOW_COST else found


def _from_anywhere(bank: Bank, seen: ViewBank, views: Views) -> list[Guess]:
    """Return what is like pictures whose cameras are not known."""
    near = seen.nearest([describe_observation(view) for view in views], DRAWN_VIEWS)
    grid = [pose.camera() for pose in GRID]
    rough = [_guess(bank.texts[row], views, tuple(grid[c] for c in cameras)) for row, cameras in near]
    return [guess for guess in rough if guess]


def _akin(bank: Bank, found: Sequence[Guess], views: Views) -> list[Guess]:
    """Return programs of the whole bank that are like the best guesses, seen from where those are.

    Only some of its programs are drawn from everywhere, but all from the paper's corner: what looks like a guess from
    there is another guess.
    """
    new: dict[str, Guess] = {}
    known = {guess.code for guess in found}
    for guess in found[:KIN]:
        part = _drawn(guess.code, False)
        if part is None:
            continue
        for text in bank.nearest(describe_drawn(part, CORNER), DRAWN_KIN):
            if text not in known:
                known.add(text)
                if (other := _guess(text, views, guess.cameras)) is not None:
                    new[text] = other
    best = sorted(new.values(), key=lambda guess: -guess.likeness)
    return [*(aimed(guess, views) for guess in best[:AIMED_KIN]), *best[AIMED_KIN:]]


def _first_then_others(bank: Bank, views: Views) -> list[Guess]:
    """Return what is like the first of several pictures, with the cameras of the others searched for."""
    found = _from_the_corner(bank, views[:1])
    found.sort(key=lambda guess: -guess.likeness)
    guesses = [replace(guess, cameras=(*guess.cameras, *(v.camera for v in views[1:]))) for guess in found]
    return [aimed(guess, views, anew=range(1, len(views))) for guess in guesses[:AIMED]]


def aimed(guess: Guess, views: Views, anew: range = range(0)) -> Guess:
    """Return a guess with cameras that show it more like the pictures.

    Args:
        guess: a program and cameras.
        views: the pictures.
        anew: which cameras are searched for everywhere, and not only around those of the guess.
    """
    parts = _drawables(guess.code, views)
    if parts is None:
        return guess
    found = []
    for i, (view, camera) in enumerate(zip(views, guess.cameras, strict=True)):
        part = parts[view.seams]
        if i in anew:
            starts = other_cameras(view)
        elif is_free(view):
            starts = [camera]
        else:
            found.append((seen_by(part, view, camera), camera))
            continue
        found.append(find_camera(functools.partial(seen_by, part, view), starts, finalists=2, tries=AIMS))
    return Guess(sum(f[0] for f in found) / len(found), guess.code, tuple(f[1] for f in found))


def _guess(code: str, views: Views, cameras: tuple[Camera, ...]) -> Guess | None:
    parts = _drawables(code, views)
    if parts is None:
        return None
    alike = [seen_by(parts[v.seams], v, camera) for v, camera in zip(views, cameras, strict=True)]
    return Guess(sum(alike) / len(alike), code, cameras)


def pose(code: str, solid: SolidLike, views: Views, search: bool = True) -> Guess:
    """Return how alike a solid and some pictures are, and from where they look most alike.

    Args:
        code: the script that built it.
        solid: what it built.
        views: the pictures.
        search: whether cameras that are not known are looked for; otherwise the views' own are taken.
    """
    found = []
    for view in views:
        part = drawable(solid, seams=view.seams)
        if search and is_free(view):
            found.append(find_camera(functools.partial(seen_by, part, view), other_cameras(view)))
        else:
            found.append((seen_by(part, view, view.camera), view.camera))
    return Guess(sum(f[0] for f in found) / len(found), code, tuple(f[1] for f in found))


@functools.lru_cache(maxsize=64)
def _drawn(code: str, seams: bool) -> Drawable | None:
    from cadcoder.geometry.build import build
    from cadcoder.program import parse

    try:
        return drawable(build(parse(code), np.pi / 24), seams=seams)
    except InputError:
        return None


def _drawables(code: str, views: Views) -> dict[bool, Drawable] | None:
    found = {view.seams: _drawn(code, view.seams) for view in views}
    return None if None in found.values() else {seams: part for seams, part in found.items() if part is not None}
