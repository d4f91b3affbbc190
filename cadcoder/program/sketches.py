"""What one CadQuery sketch can hold, and which of its loops are drawn by one call."""

from __future__ import annotations

from collections.abc import Callable

from cadcoder.program.regions import holds, inner_point, touching
from cadcoder.program.shapes import Shape, describe
from cadcoder.program.types import Loop, Profile


def parts(profiles: tuple[Profile, ...]) -> tuple[list[Loop], list[list[Loop]], tuple[Profile, ...]]:
    """Return what one CadQuery sketch can hold of the profiles, holes to be cut after it, and profiles to be added.

    CadQuery 2 hands all wires of a sketch to one ``BRepBuilderAPI_MakeFace``, which takes an island in a hole for
    another hole and makes an invalid face of wires that touch.
    """
    if len(profiles) == 1 and not profiles[0].holes:
        return [profiles[0].outer], [], ()
    main: list[Loop] = []
    taken: list[Profile] = []
    cuts: list[list[Loop]] = []
    rest: list[Profile] = []
    for p in profiles:
        if any(_hampers(q, p) for q in taken):
            rest.append(p)
            continue
        taken.append(p)
        sound: list[Loop] = []
        for hole in p.holes:
            if not any(touching(hole, other) for other in (p.outer, *sound)):
                sound.append(hole)
                continue
            group = next((g for g in cuts if not any(touching(hole, other) for other in g)), None)
            if group is None:
                cuts.append([hole])
            else:
                group.append(hole)
        main += [p.outer, *sound]
    return main, cuts, tuple(rest)


def _hampers(p: Profile, q: Profile) -> bool:
    """Whether two profiles cannot be in one sketch."""
    if touching(p.outer, q.outer):
        return True
    return holds(p.outer, inner_point(q.outer)) or holds(q.outer, inner_point(p.outer))


def alike(loops: list[Loop], key: Callable[[Shape], str]) -> list[list[Shape] | Loop]:
    """Return the loops in order, named shapes of equal ``key`` together where the first of them is."""
    groups: list[list[Shape] | Loop] = []
    index: dict[str, list[Shape]] = {}
    for loop in loops:
        shape = describe(loop)
        if shape is None:
            groups.append(loop)
        elif key(shape) in index:
            index[key(shape)].append(shape)
        else:
            groups.append(index.setdefault(key(shape), [shape]))
    return groups
