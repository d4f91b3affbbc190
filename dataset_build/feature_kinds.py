"""Scripts with what a sketch-extrude program cannot say: rounded edges, revolves, shells, stepped holes and lofts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dataset_build.feature_bodies import SELECTORS, Body, any_plane, body, nice, text
from dataset_build.feature_turned import revolve, sector
from dataset_build.growing import Rng, choose

#: What a script is drawn for, and how often; others come on top of it.
KINDS = {
    "fillet": 0.22,
    "chamfer": 0.16,
    "revolve": 0.16,
    "sector": 0.06,
    "shell": 0.14,
    "cbore": 0.10,
    "csk": 0.08,
    "loft": 0.08,
}
#: How many more of fillet, chamfer, cbore and csk a body with edges and holes gets.
_MORE = {"0": 0.45, "1": 0.4, "2": 0.15}


@dataclass(frozen=True, slots=True)
class Draft:
    """A script that has not run yet.

    Attributes:
        code: the script.
        features: which of :data:`KINDS` it holds, the one that it was drawn for first.
    """

    code: str
    features: tuple[str, ...]


def draft(rng: Rng, kind: str) -> Draft:
    """Return a script drawn for one of :data:`KINDS`."""
    makers: dict[str, Callable[[Rng], tuple[list[str], list[str]]]] = {
        "revolve": revolve,
        "sector": sector,
        "shell": _shell,
        "loft": _loft,
    }
    lines, more = makers[kind](rng) if kind in makers else _worked(rng, kind)
    return Draft("import cadquery as cq\n\n" + "\n".join(lines) + "\n", (kind, *more))


def _worked(rng: Rng, kind: str) -> tuple[list[str], list[str]]:
    """A body with edges rounded or bevelled, and holes."""
    made = body(rng)
    while kind in ("cbore", "csk") and not made.face:
        made = body(rng)
    wanted = [kind]
    others = ["fillet", "chamfer", *(["cbore", "csk"] if made.face else [])]
    for _ in range(int(choose(rng, _MORE))):
        left = [o for o in others if o not in wanted and not {o, *wanted} >= {"cbore", "csk"}]
        if left:
            wanted.append(str(rng.choice(left)))
    edges = list(made.edges)
    if len([w for w in wanted if w in ("fillet", "chamfer")]) > 1:
        edges = [e for e in edges if e[0] != "all"]
    done: list[tuple[int, str, str]] = []
    rim = corner = 0.0
    for name in [w for w in wanted if w in ("fillet", "chamfer")]:
        if not edges:
            wanted.remove(name)
            continue
        group, where, most = edges[int(rng.integers(len(edges)))]
        edges = [e for e in edges if e[0] != group]
        most = most if name == "fillet" else 0.7 * most
        if group == "rim" and corner:
            most = min(most, 0.8 * corner)  # a rim follows the corner's arc as long as it is the smaller
        size = nice(rng, max(0.5, min(1.0, 0.4 * most), 0.3 * most), max(most, 0.5))
        if group == "corner":
            corner = size
            if rim > 0.8 * size:  # the rim was chosen before
                corner = size = max(size, rim / 0.8)
        elif group in ("rim", "all"):
            rim = max(rim, size)
        done.append((group != "corner", name, f"result = result{where}.{name}({text(size)})"))
    lines = made.lines + [line for *_, line in sorted(done, key=lambda d: d[0])]
    for name in [w for w in wanted if w in ("cbore", "csk")]:
        line = _holes(rng, made, name, corner, rim)
        lines += [line] if line else []
        wanted = wanted if line else [w for w in wanted if w != name]
    if kind not in wanted:
        return _worked(rng, kind)  # there was no room for what it is drawn for
    return lines, wanted[1:]


def _holes(rng: Rng, made: Body, name: str, corner: float, rim: float) -> str:
    """Return the line that drills counterbored or countersunk holes, empty where there is no room."""
    u, v = made.field
    inner, outer = made.ring or (0.0, 0.0)
    wide = outer - inner if made.ring else min(u, v)
    if made.ring and made.middle and rng.random() < 0.4:
        inner, outer, wide = 0.0, 0.0, min(u, v)
    d = nice(rng, max(2.0, 0.1 * wide), max(2.5, 0.22 * wide))
    if name == "cbore":
        head = max(d + 2, round(d * float(rng.uniform(1.5, 2.0))))
        how = f"cboreHole({text(d, head, nice(rng, max(0.5, 0.2 * made.deep), max(1.0, 0.6 * made.deep)))})"
    else:
        head = min(max(d + 2, round(d * float(rng.uniform(1.6, 2.2)))), d + 1.4 * made.deep)
        how = f"cskHole({text(d, math.floor(2 * head) / 2, float(rng.choice([82, 90])))})"
    edge = head / 2 + max(rim, 0.0) + 2
    start = f"result = result{made.face}"
    if outer:
        low, high = inner + edge, outer - edge
        n = int(rng.choice([3, 4, 6, 8]))
        if low > high or 2 * low * math.sin(math.pi / n) < head + 1:
            return ""
        return f"{start}.polarArray({text(nice(rng, low, high))}, 0, 360, {n}).{how}"
    inset = math.ceil(2 * max(edge, corner)) / 2
    across, along = u - 2 * inset, v - 2 * inset
    ways = {"one": 0.25 if made.middle else 0.0}
    if across > head + 2:
        ways["two"] = 0.3
        if along > head + 2:
            ways["four"] = 0.6
    elif along > head + 2:
        ways["column"] = 0.3
    if head + 4 + 2 * rim > min(u, v) or not any(ways.values()):
        return ""
    way = choose(rng, ways)
    a, b = text(across / 2), text(along / 2)
    return {
        "one": f"{start}.{how}",
        "two": f"{start}.pushPoints([(-{a}, 0), ({a}, 0)]).{how}",
        "column": f"{start}.pushPoints([(0, -{b}), (0, {b})]).{how}",
        "four": f"{start}.rect({text(across, along)}, forConstruction=True).vertices().{how}",
    }[way]


def _shell(rng: Rng) -> tuple[list[str], list[str]]:
    """A box, a cup or a tapered tray, hollow and open on one side or two."""
    plane = any_plane(rng)
    axis, top, bottom = SELECTORS[plane]
    wall = nice(rng, 1.5, 5)
    start = f'result = cq.Workplane("{plane}")'
    outline = choose(rng, {"box": 0.55, "cup": 0.25, "prism": 0.2})
    more, lines = [], []
    u, v, h = 100.0, nice(rng, 40, 100), nice(rng, 20, 80)
    if outline == "cup":
        tall = rng.random() < 0.4
        r, h = (nice(rng, 20, 45), 100.0) if tall else (50.0, h)
        start += f".circle({text(r)})"
        v = 2 * r
    elif outline == "prism":
        sides = int(rng.choice([6, 8]))
        start += f".polygon({sides}, 100)"
        v = 50.0
    else:
        u, v = (u, v) if rng.random() < 0.7 else (v, u)
        start += f".rect({text(u, v)})"
    taper = int(rng.choice([4, 6, 10])) if rng.random() < 0.25 and h < 1.2 * v else 0
    lines.append(f"{start}.extrude({text(h)}{f', taper={taper}' if taper else ''})")
    low = wall + 1.5
    round_ = low + nice(rng, 0.5, 0.15 * min(u, v))
    if outline != "cup" and not taper and rng.random() < 0.55:
        lines.append(f'result = result.edges("|{axis}").fillet({text(round_)})')
        more.append("fillet")
    elif rng.random() < 0.35:
        name = "fillet" if rng.random() < 0.7 else "chamfer"
        lines.append(f'result = result.faces("{bottom}").edges().{name}({text(nice(rng, low, low + 5))})')
        more.append(name)
    side = {"Z": "<Y", "Y": ">Z", "X": ">Z"}[axis]
    ways = {top: 0.72}
    if not more or f"|{axis}" in lines[-1]:
        ways[f"{bottom} or {top}"] = 0.14
    if outline == "box" and not taper and not more:
        ways[side] = 0.14
    lines.append(f'result = result.faces("{choose(rng, ways)}").shell(-{text(wall)})')
    return lines, more


def _loft(rng: Rng) -> tuple[list[str], list[str]]:
    """A body between two sections, and perhaps hollow."""
    plane = any_plane(rng)
    _, top, bottom = SELECTORS[plane]
    height = nice(rng, 25, 100)
    way = choose(rng, {"square-round": 0.4, "square": 0.25, "round": 0.2, "polygon": 0.15})
    u, v = 100.0, nice(rng, 50, 100)
    ratio = float(rng.uniform(0.25, 0.75))
    a, b = nice(rng, 0.2 * u, 0.75 * u), nice(rng, 0.2 * v, 0.75 * v)
    r = nice(rng, max(0.15 * v, 10), 0.4 * v)
    sides = int(rng.choice([6, 8]))
    first, second = {
        "square-round": (f"rect({text(u, v)})", f"circle({text(r)})"),
        "square": (f"rect({text(u, v)})", f"rect({text(a, b)})"),
        "round": ("circle(50)", f"circle({text(r)})"),
        "polygon": (f"polygon({sides}, 100)", f"polygon({sides}, {text(nice(rng, 25, 100 * ratio + 5))})"),
    }[way]
    lines = [f'result = cq.Workplane("{plane}").{first}.workplane(offset={text(height)}).{second}.loft(combine=True)']
    more = []
    pick = rng.random()
    if way in ("square-round", "round"):
        # OpenCascade neither shells nor bevels most of these: a duct is made of two lofts.
        if pick < 0.45:
            wall = nice(rng, 2, 5)
            inner = (
                f"rect({text(u - 2 * wall, v - 2 * wall)})" if way == "square-round" else f"circle({text(50 - wall)})"
            )
            end = f".workplane(offset={text(height)}).circle({text(r - wall)}).loft(combine=True)"
            lines.append(f'result = result.cut(cq.Workplane("{plane}").{inner}{end})')
    elif pick < 0.35:
        faces = f"{bottom} or {top}" if rng.random() < 0.6 else bottom
        lines.append(f'result = result.faces("{faces}").shell(-{text(nice(rng, 1.5, 4))})')
        more.append("shell")
    elif pick < 0.55:
        name = str(rng.choice(["fillet", "chamfer"]))
        lines.append(f'result = result.faces("{top}").edges().{name}({text(nice(rng, 1, 4))})')
        more.append(name)
    return lines, more
