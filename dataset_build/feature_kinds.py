"""Scripts with what a sketch-extrude program cannot say: rounded edges, revolves, shells, stepped holes and lofts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dataset_build.feature_bodies import SELECTORS, Body, any_plane, body, nice, text
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
#: The radius at which a sector of so many degrees is 100 long.
_SECTORS = {90: 100.0, 120: 66.5, 180: 50.0, 240: 50.0, 270: 50.0, 300: 50.0}


@dataclass(frozen=True, slots=True)
class Draft:
    """A script that has not run yet.

    Attributes:
        code: the script.
        features: which of :data:`KINDS` it holds, the one that it was drawn for first.
    """

    code: str
    features: tuple[str, ...]


def draft(rng: Rng) -> Draft:
    """Return a script."""
    kind = choose(rng, KINDS)
    makers: dict[str, Callable[[Rng], tuple[list[str], list[str]]]] = {
        "revolve": _revolve,
        "sector": _sector,
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


def _revolve(rng: Rng) -> tuple[list[str], list[str]]:
    """A turned part: stepped, grooved, conical, domed or a ring; its axis is the plane's y axis."""
    way = choose(rng, {"turned": 0.4, "pulley": 0.15, "cone": 0.12, "dome": 0.13, "ring": 0.12, "groove": 0.08})
    plane = choose(rng, {"XZ": 0.7, "XY": 0.2, "YZ": 0.1})
    start, end = f'result = cq.Workplane("{plane}")', ".revolve(360, (0, 0), (0, 1))"
    axis = "Y" if plane == "XY" else "Z"
    most = 0.0
    if way == "turned":
        section, most = _turned(rng)
        line = f"{start}.polyline([{section}]).close(){end}"
    elif way == "pulley":
        h, bore = nice(rng, 15, 60), nice(rng, 5, 18)
        flange, deep = nice(rng, 0.12 * h, 0.25 * h), nice(rng, 6, 22)
        slope = 0.0 if rng.random() < 0.4 else min(0.2 * h, 0.5 * (h - 2 * flange) - 1)
        r = 50 - deep
        points = [(bore, 0), (50, 0), (50, flange), (r, flange + slope), (r, h - flange - slope), (50, h - flange)]
        line = f"{start}.polyline([{_points([*points, (50, h), (bore, h)])}]).close(){end}"
    elif way == "cone":
        h, low, high = nice(rng, 30, 100), 50.0, nice(rng, 8, 35)
        wall = nice(rng, 4, 7)
        hollow = rng.random() < 0.5
        points = [(low - wall if hollow else 0, 0), (low, 0), (high, h), (high - wall if hollow else 0, h)]
        line = f"{start}.polyline([{_points(points)}]).close(){end}"
        most = 0.0 if hollow else 0.25 * high
    elif way == "dome":
        foot = nice(rng, 5, 40)
        c = 50 * math.sqrt(0.5)
        arc = f".threePointArc(({text(round(c, 3), round(c + foot, 3))}), (0, {text(50 + foot)})).close()"
        line = f"{start}.lineTo(50, 0).lineTo(50, {text(foot)}){arc}{end}"
    elif way == "ring":
        r = nice(rng, 5, 20)
        section = f"circle({text(r)})"
        if rng.random() < 0.5:
            section = f"rect({text(2 * r, nice(rng, 6, 60))})" if rng.random() < 0.6 else f"polygon(6, {text(2 * r)})"
        line = f"{start}.moveTo({text(50 - r)}, 0).{section}{end}"
    else:
        r, at, c = nice(rng, 12, 35), nice(rng, 15, 85), nice(rng, 2, 5)
        flat = {"XZ": "XY", "YZ": "XY", "XY": "XZ"}[plane]
        section = f"circle({text(c)})" if rng.random() < 0.5 else f"rect({text(2 * c, nice(rng, 3, 10))})"
        along = -at if flat == "XZ" else at
        line = f'result = cq.Workplane("{flat}").circle({text(r)}).extrude(100)'
        cut = f'result = result.cut(cq.Workplane("{plane}").moveTo({text(r, along)}).{section}{end})'
        return [line, cut], []
    if most > 1 and rng.random() < 0.45:
        name = str(rng.choice(["fillet", "chamfer"]))
        return [line, f'result = result.faces(">{axis}").edges().{name}({text(nice(rng, 0.4 * most, most))})'], [name]
    return [line], []


def _points(points: list[tuple[float, float]]) -> str:
    return ", ".join(f"({text(*p)})" for p in points)


def _turned(rng: Rng) -> tuple[str, float]:
    """Return the half section of a stepped body with or without a bore, and how far its top's rim may be rounded."""
    n = int(rng.integers(2, 5))
    high = 100.0 if rng.random() < 0.5 else nice(rng, 30, 90)
    biggest = 50.0 if high < 100 else nice(rng, 18, 50)
    bore = nice(rng, 4, 0.3 * biggest) if rng.random() < 0.6 else 0.0
    radii = [nice(rng, bore + 0.15 * biggest + 2, 0.9 * biggest) for _ in range(n)]
    radii[int(rng.integers(n))] = biggest
    cuts = sorted(nice(rng, 0.1 * high, 0.9 * high) for _ in range(n - 1))
    heights = [0.0, *cuts, high]
    points = [(bore, 0.0)]
    for r, a, b in zip(radii, heights, heights[1:], strict=False):
        if b - a >= 3 and (r, a) != points[-1]:
            # A step that is too short is left out: the one below goes on.
            points += [(r, points[-1][1]), (r, b)]
    points = [*points[:-1], (points[-1][0], high), (bore, high)]
    kept = [p for k, p in enumerate(points) if not k or p != points[k - 1]]
    return _points(kept), min(0.3 * (kept[-2][0] - bore), 0.4 * (high - kept[-3][1]), 6.0)


def _sector(rng: Rng) -> tuple[list[str], list[str]]:
    """A section turned by less than the whole way: elbows, segments, guards."""
    angle = int(rng.choice(list(_SECTORS)))
    outer = _SECTORS[angle]
    plane = choose(rng, {"XZ": 0.6, "XY": 0.3, "YZ": 0.1})
    r = nice(rng, 0.08 * outer, 0.22 * outer)
    way = choose(rng, {"pipe": 0.3, "rod": 0.2, "bar": 0.3, "angle": 0.2})
    end = f".revolve({angle}, ({text(-(outer - r))}, 0), ({text(-(outer - r))}, 1))"
    line = f'result = cq.Workplane("{plane}")'
    tall = nice(rng, 6, 60)
    if way == "pipe":
        line += f".circle({text(r)}).circle({text(math.floor(2 * r * float(rng.uniform(0.5, 0.8))) / 2)})"
    elif way == "rod":
        line += f".circle({text(r)})"
    elif way == "bar":
        line += f".rect({text(2 * r, tall)})"
    else:
        t = nice(rng, 2, 0.7 * r)
        line += f".polyline([{_points([(-r, 0), (r, 0), (r, t), (t - r, t), (t - r, tall), (-r, tall)])}]).close()"
    more = []
    lines = [line + end]
    if way in ("rod", "bar") and rng.random() < 0.35:
        name = str(rng.choice(["fillet", "chamfer"]))
        lines.append(f"result = result.edges().{name}({text(nice(rng, 1, min(0.3 * r, 0.3 * tall, 5)))})")
        more.append(name)
    return lines, more


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
    ways = {top: 0.72, f"{bottom} or {top}": 0.14, side: 0.14 if outline == "box" and not taper and not more else 0.0}
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
    r = nice(rng, 0.15 * v, 0.4 * v)
    sides = int(rng.choice([6, 8]))
    first, second = {
        "square-round": (f"rect({text(u, v)})", f"circle({text(r)})"),
        "square": (f"rect({text(u, v)})", f"rect({text(a, b)})"),
        "round": ("circle(50)", f"circle({text(nice(rng, 10, 40))})"),
        "polygon": (f"polygon({sides}, 100)", f"polygon({sides}, {text(nice(rng, 25, 100 * ratio + 5))})"),
    }[way]
    lines = [f'result = cq.Workplane("{plane}").{first}.workplane(offset={text(height)}).{second}.loft(combine=True)']
    more = []
    pick = rng.random()
    if pick < 0.35:
        faces = f"{bottom} or {top}" if rng.random() < 0.6 else bottom
        lines.append(f'result = result.faces("{faces}").shell(-{text(nice(rng, 1.5, 4))})')
        more.append("shell")
    elif pick < 0.55:
        name = str(rng.choice(["fillet", "chamfer"]))
        lines.append(f'result = result.faces("{top}").edges().{name}({text(nice(rng, 1, 4))})')
        more.append(name)
    return lines, more
