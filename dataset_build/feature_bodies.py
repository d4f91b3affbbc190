"""The bodies that features of a synthetic script are put on, and what each of them has room for.

Every body is written as CadQuery text on one of the three planes, its longest side 100, its first sketch centred on the
origin. ``w`` is the plane's normal: what is swept goes that way, and the top is the face that lies furthest along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cadcoder.program import emit
from dataset_build.growing import Rng, choose

#: Of each plane: its normal, the axis in selectors, the face at its end and the one at its start.
NORMALS = {"XY": (0, 0, 1), "XZ": (0, -1, 0), "YZ": (1, 0, 0)}
SELECTORS = {"XY": ("Z", ">Z", "<Z"), "XZ": ("Y", "<Y", ">Y"), "YZ": ("X", ">X", "<X")}
_PLANES = {"XY": 0.55, "XZ": 0.33, "YZ": 0.12}


@dataclass
class Body:
    """A body as text, and where features fit.

    Attributes:
        plane: that it is drawn on.
        lines: of the script, each sets ``result``.
        edges: (group, selector as text, largest radius or length); one of a group is taken, ``corner`` before the
            others, and ``all`` leaves nothing to the others.
        face: text that selects the plane that holes start on; empty where there is no room for any.
        field: width and height of the rectangle round the plane's origin that holes may lie in.
        ring: (inner, outer) radius between which a ring of holes may lie, where the body is round.
        deep: what a hole goes through at least.
        middle: whether there is material in the middle.
    """

    plane: str
    lines: list[str]
    edges: list[tuple[str, str, float]] = field(default_factory=list)
    face: str = ""
    field: tuple[float, float] = (0.0, 0.0)
    ring: tuple[float, float] | None = None
    deep: float = 0.0
    middle: bool = True

    @property
    def top(self) -> str:
        """The selector of the face at the end of the sweep."""
        return SELECTORS[self.plane][1]

    @property
    def bottom(self) -> str:
        """The selector of the face at its start."""
        return SELECTORS[self.plane][2]


def nice(rng: Rng, low: float, high: float) -> float:
    """Return a round number between two: whole, a half below 6, mostly a multiple of 5 above 30."""
    value = float(rng.uniform(low, max(low, high)))
    step = 0.5 if value < 6 else 5.0 if value > 30 and rng.random() < 0.7 else 1.0
    lowest, highest = np.ceil(low / 0.5) * 0.5, np.floor(high / 0.5) * 0.5
    return float(min(max(round(value / step) * step, lowest), max(lowest, highest)))


def text(*values: float) -> str:
    """Return numbers as in a script."""
    return ", ".join(f"{v + 0.0:.6g}" for v in values)


def on(plane: str, height: float) -> str:
    """Return the point at a height over the origin of a plane, as text."""
    return f"({text(*(n * height for n in NORMALS[plane]))})"


def body(rng: Rng) -> Body:
    """Return a body for edges and holes."""
    return _BODIES[choose(rng, _SHARES)](rng)


def any_plane(rng: Rng) -> str:
    """Return the name of a plane."""
    return choose(rng, _PLANES)


def _rims(plane: str, most: float, both: bool = True) -> list[tuple[str, str, float]]:
    _, top, bottom = SELECTORS[plane]
    rims = [("rim", f'.faces("{top}").edges()', most)]
    return [*rims, ("rim", f'.faces("{bottom} or {top}").edges()', most)] if both else rims


def _plate(rng: Rng) -> Body:
    plane = any_plane(rng)
    u, v, h = 100.0, nice(rng, 35, 100), nice(rng, 6, 22)
    u, v = (u, v) if rng.random() < 0.7 else (v, u)
    return _rectangular(plane, u, v, h)


def _block(rng: Rng) -> Body:
    sizes = [100.0, nice(rng, 35, 100), nice(rng, 25, 90)]
    u, v, h = (sizes[k] for k in rng.permutation(3))
    made = _rectangular(any_plane(rng), u, v, h)
    made.edges.append(("all", ".edges()", 0.3 * min(sizes)))
    return made


def _rectangular(plane: str, u: float, v: float, h: float) -> Body:
    _, top, _ = SELECTORS[plane]
    edges = [("corner", f'.edges("|{SELECTORS[plane][0]}")', 0.35 * min(u, v)), *_rims(plane, min(0.4 * h, 8))]
    line = f'result = cq.Workplane("{plane}").rect({text(u, v)}).extrude({text(h)})'
    return Body(plane, [line], edges, f'.faces("{top}").workplane()', (u, v), None, h)


def _disc(rng: Rng) -> Body:
    plane, h = any_plane(rng), nice(rng, 6, 30)
    bore = nice(rng, 8, 30) if rng.random() < 0.6 else 0.0
    inner = f".circle({text(bore)})" if bore else ""
    line = f'result = cq.Workplane("{plane}").circle(50){inner}.extrude({text(h)})'
    face = f'.faces("{SELECTORS[plane][1]}").workplane()'
    most = min(0.35 * h, 6, 0.3 * (50 - bore))
    return Body(plane, [line], _rims(plane, most), face, (60, 60), (bore, 50.0), h, not bore)


def _flange(rng: Rng) -> Body:
    """A disc or a plate with a hub in its middle."""
    plane, h, hub = any_plane(rng), nice(rng, 6, 18), nice(rng, 14, 28)
    tall, bore = nice(rng, 12, 60), nice(rng, 4, hub - 4) if rng.random() < 0.7 else 0.0
    axis, top, _ = SELECTORS[plane]
    round_ = rng.random() < 0.6
    v = nice(rng, max(2 * hub + 6, 60), 100)
    outline = "circle(50)" if round_ else f"rect(100, {text(v)})"
    lines = [
        f'result = cq.Workplane("{plane}").{outline}.extrude({text(h)})',
        f'result = result.faces("{top}").workplane().circle({text(hub)}).extrude({text(tall)})',
    ]
    if bore:
        lines.append(f'result = result.faces("{top}").workplane().hole({text(2 * bore)})')
    root = f".edges(cq.selectors.NearestToPointSelector({on(plane, h)}))"
    gap = (50.0 if round_ else v / 2) - hub
    edges = [("root", root, min(0.5 * gap, 0.4 * tall, 10)), *_rims(plane, min(0.3 * (hub - bore), 5), both=False)]
    if not round_:
        edges.insert(0, ("corner", f'.edges("|{axis}")', 0.3 * gap))
    face = f'.copyWorkplane(cq.Workplane("{plane}", origin={on(plane, h)}))'
    return Body(plane, lines, edges, face, (0, 0), (hub + 2, 50.0 if round_ else v / 2), h, False)


def _bracket(rng: Rng) -> Body:
    """A bent or rolled section, swept: L, U or T."""
    plane = any_plane(rng)
    a, b, t = 100.0, nice(rng, 40, 100), nice(rng, 7, 18)
    w = nice(rng, 25, 90)
    x = a / 2
    profile = {
        "L": [(-x, 0), (x, 0), (x, t), (t - x, t), (t - x, b), (-x, b)],
        "U": [(-x, 0), (x, 0), (x, b), (x - t, b), (x - t, t), (t - x, t), (t - x, b), (-x, b)],
        "T": [(-x, 0), (x, 0), (x, t), (t / 2, t), (t / 2, b), (-t / 2, b), (-t / 2, t), (-x, t)],
    }[choose(rng, {"L": 0.5, "U": 0.3, "T": 0.2})]
    points = ", ".join(f"({text(p, q - b / 2)})" for p, q in profile)
    lines = [f'result = cq.Workplane("{plane}").polyline([{points}]).close().extrude({text(w)})']
    axis = SELECTORS[plane][0]
    return Body(plane, lines, [("corner", f'.edges("|{axis}")', 0.45 * t), *_rims(plane, 0.3 * t)])


def _shaft(rng: Rng) -> Body:
    plane, n = any_plane(rng), int(rng.integers(1, 4))
    lengths = [nice(rng, 18, 90 / n) for _ in range(n - 1)]
    lengths.append(100.0 - sum(lengths))
    radii = [nice(rng, 8, 32)]
    for _ in range(n - 1):
        radii.append(nice(rng, max(5.0, 0.4 * radii[-1]), radii[-1] - 2.5))
    top = SELECTORS[plane][1]
    lines = [f'result = cq.Workplane("{plane}").circle({text(radii[0])}).extrude({text(lengths[0])})']
    for r, length in zip(radii[1:], lengths[1:], strict=True):
        lines.append(f'result = result.faces("{top}").workplane().circle({text(r)}).extrude({text(length)})')
    steps = [a - b for a, b in zip(radii, radii[1:], strict=False)]
    edges = _rims(plane, 0.4 * radii[-1])
    if steps:
        edges.append(("all", ".edges()", 0.4 * min(*steps, radii[-1])))
    side = 1.2 * radii[-1]
    return Body(plane, lines, edges, f'.faces("{top}").workplane()', (side, side), None, lengths[-1])


def _grown(rng: Rng) -> Body:
    """A part of the synthesiser; whether its edges can be rounded is found out by running it."""
    from dataset_build.synth import sample

    script = emit(sample(int(rng.integers(2**40))), "plain")
    lines = [line for line in script.splitlines() if line.startswith("result")]
    axis = str(rng.choice(["X", "Y", "Z"]))
    seen = {"X": ">X", "Y": "<Y", "Z": ">Z"}[axis]
    edges = [("corner", f'.edges("|{axis}")', 4.0), ("rim", f'.faces("{seen}").edges()', 2.0)]
    return Body({"X": "YZ", "Y": "XZ", "Z": "XY"}[axis], lines, edges)


_BODIES: dict[str, Callable[[Rng], Body]] = {
    "plate": _plate,
    "block": _block,
    "disc": _disc,
    "flange": _flange,
    "bracket": _bracket,
    "shaft": _shaft,
    "grown": _grown,
}
_SHARES = {"plate": 0.24, "block": 0.14, "disc": 0.12, "flange": 0.16, "bracket": 0.12, "shaft": 0.1, "grown": 0.12}
