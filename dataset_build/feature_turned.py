"""Turned parts as text: a section revolved, all the way round or less; the axis is the y axis of its plane."""

from __future__ import annotations

import math

from dataset_build.feature_bodies import nice, text
from dataset_build.growing import Rng, choose

#: The radius at which a sector of so many degrees is 100 long.
_SECTORS = {90: 100.0, 120: 66.5, 180: 50.0, 240: 50.0, 270: 50.0, 300: 50.0}


def revolve(rng: Rng) -> tuple[list[str], list[str]]:
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


def sector(rng: Rng) -> tuple[list[str], list[str]]:
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
