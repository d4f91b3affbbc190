"""Point patterns that CadQuery has a call for: full grids (``rarray``) and even rings (``polarArray``)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cadcoder.program.types import Point


@dataclass(frozen=True, slots=True)
class Grid:
    """Points on a full grid about the sketch's origin: spacings and counts along x and y."""

    dx: float
    dy: float
    nx: int
    ny: int

    def points(self) -> list[Point]:
        """Return the points in the order in which CadQuery pushes them."""
        return [
            (self.dx * (i - (self.nx - 1) / 2), self.dy * (j - (self.ny - 1) / 2))
            for i in range(self.nx)
            for j in range(self.ny)
        ]


@dataclass(frozen=True, slots=True)
class Ring:
    """Points spaced evenly on a circle about the sketch's origin, from an angle in degrees."""

    radius: float
    start: float
    count: int

    def points(self) -> list[Point]:
        """Return the points in the order in which CadQuery pushes them."""
        turns = [math.radians(self.start + 360.0 / self.count * i) for i in range(self.count)]
        return [(self.radius * math.cos(t), self.radius * math.sin(t)) for t in turns]


@dataclass(frozen=True, slots=True)
class ArcRow:
    """Points spaced evenly on a part of a circle about the sketch's origin: first angle and sweep, in degrees."""

    radius: float
    start: float
    angle: float
    count: int

    def points(self) -> list[Point]:
        """Return the points in the order in which CadQuery pushes them."""
        turns = [math.radians(self.start + self.angle * i / (self.count - 1)) for i in range(self.count)]
        return [(self.radius * math.cos(t), self.radius * math.sin(t)) for t in turns]


def find_pattern(points: list[Point]) -> Grid | Ring | None:
    """Return the pattern that the points make, in any order, or None."""
    return find_grid(points) or find_ring(points)


def find_grid(points: list[Point]) -> Grid | None:
    """Return the full grid of at least four points, centred on the origin, or None."""
    if len(points) < 4:
        return None
    xs, ys = _distinct([c[0] for c in points]), _distinct([c[1] for c in points])
    if len(xs) * len(ys) != len(points) or len({(round(x, 6), round(y, 6)) for x, y in points}) != len(points):
        return None
    spacing = []
    for values in (xs, ys):
        gaps = [b - a for a, b in zip(values, values[1:], strict=False)]
        if gaps and max(gaps) - min(gaps) > 1e-6 * max(gaps):
            return None
        if abs(values[0] + values[-1]) > 1e-6 * max(1e-9, values[-1] - values[0], abs(values[0])):
            return None
        spacing.append(gaps[0] if gaps else 1.0)
    return Grid(spacing[0], spacing[1], len(xs), len(ys))


def _distinct(values: list[float]) -> list[float]:
    out: list[float] = []
    for v in sorted(values):
        if not out or v - out[-1] > 1e-6 * max(1.0, abs(v)):
            out.append(v)
    return out


def _radius(points: list[Point]) -> float | None:
    """Return the radius of the circle about the origin that three points or more lie on, or None."""
    radii = [math.hypot(*p) for p in points]
    if len(radii) < 3:
        return None
    r = sum(radii) / len(radii)
    return None if r < 1e-9 or max(radii) - min(radii) > 1e-6 * r else r


def find_ring(points: list[Point]) -> Ring | None:
    """Return the even ring of at least three points about the origin, or None."""
    n, r = len(points), _radius(points)
    if r is None:
        return None
    pitch = 360.0 / n
    angles = [math.degrees(math.atan2(y, x)) % 360.0 for x, y in points]
    # Half a step is added before the division, so that an angle just below a multiple does not count as a turn less.
    start = min((a + 1e-6) % pitch for a in angles) - 1e-6
    places = sorted(round((a - start) / pitch) % n for a in angles)
    off = max(abs((a - start + pitch / 2) % pitch - pitch / 2) for a in angles)
    if places != list(range(n)) or off > 1e-4:
        return None
    return Ring(r, round(start, 9) + 0.0, n)


def find_row(points: list[Point]) -> Grid | None:
    """Return two points or more along an axis, evenly about the origin, as a grid of one row, or None."""
    if len(points) < 2:
        return None
    size = max(max(abs(x), abs(y)) for x, y in points)
    for k in (0, 1):
        if all(abs(p[1 - k]) <= 1e-6 * size for p in points):
            along = sorted(p[k] for p in points)
            gaps = [b - a for a, b in zip(along, along[1:], strict=False)]
            even = max(gaps) - min(gaps) <= 1e-6 * max(gaps) and abs(along[0] + along[-1]) <= 1e-6 * size
            if not even or gaps[0] <= 1e-6 * size:
                return None
            return Grid(gaps[0], 1.0, len(points), 1) if k == 0 else Grid(1.0, gaps[0], 1, len(points))
    return None


def find_arc(points: list[Point]) -> ArcRow | None:
    """Return three points or more, spaced evenly on less than a full circle about the origin, or None."""
    n, r = len(points), _radius(points)
    if r is None:
        return None
    angles = sorted(math.degrees(math.atan2(y, x)) % 360.0 for x, y in points)
    # It begins after the widest gap.
    gaps = [(b - a) % 360.0 for a, b in zip(angles, angles[1:] + angles[:1], strict=True)]
    last = max(range(n), key=lambda i: gaps[i])
    inner = [gap for i, gap in enumerate(gaps) if i != last]
    if max(inner) - min(inner) > 1e-4 or min(inner) < 1e-3 or gaps[last] - max(inner) < 1e-3:
        return None
    return ArcRow(r, round(angles[(last + 1) % n], 9) + 0.0, round(sum(inner), 9), n)
