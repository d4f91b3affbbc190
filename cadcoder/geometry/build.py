"""From a program to a solid, in about half a millisecond: prisms and booleans by manifold3d.

The work is done in a frame where the sketch planes are axis-aligned if there is one, and in a unit where the
part is about 1 across; there every vertex is put on a fine grid, so that faces meant to be coplanar are so to
the last bit. manifold3d is exact about such faces (no skins left by a cut, no gap in a join).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import manifold3d
import numpy as np
from numpy.typing import NDArray

from cadcoder.errors import InputError
from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Extrude, Loop, Operation, Plane, Program, Sketch

#: Vertices are put on multiples of this fraction of the part's size: a power of two, under OpenCascade's 1e-7.
GRID = 2.0**-26
#: Tools on a tilted plane cannot lie on the grid; they are lengthened by this fraction of the size at both ends.
OVERLAP = 1e-6
#: A polygon whose area differs by more than this from its winding area crosses itself.
AREA_TOLERANCE = 1e-6

FloatArray = NDArray[np.float64]
#: A loop as a polygon (N, 2), and the curves of its sides (N,).
_Ring: TypeAlias = tuple[FloatArray, NDArray[np.int32]]


class Beginnings:
    """What was built before, by the extrudes that a program begins with, for many programs that differ little.

    Programs that agree in their first extrudes (and in the unit and frame that they are built in) share what these
    make. A search that changes one feature after another saves most of its booleans so. The solid is the same; where
    faces of two extrudes coincide, either may stay, so that an edge between them may be drawn or not.
    """

    def __init__(self, most: int = 512) -> None:
        """Keep at most so many; beyond, all is forgotten."""
        self._most = most
        self._numbers = itertools.count()
        self._rings: dict[tuple[Extrude, float], list[_Ring]] = {}
        self._steps: dict[tuple[Any, Extrude], tuple[int, manifold3d.Manifold, _Surfaces]] = {}

    def rings(self, extrude: Extrude, index: int, arc_step: float) -> list[_Ring]:
        """Return the loops of an extrude as polygons, see :func:`_ring`."""
        key = extrude, arc_step
        if key not in self._rings:
            if len(self._rings) >= self._most:
                self._rings.clear()
            self._rings[key] = _rings(extrude, index, arc_step)
        return self._rings[key]

    def find(self, root: Any, extrudes: Sequence[Extrude]) -> tuple[Any, list[manifold3d.Manifold], _Surfaces]:
        """Return the place of the longest beginning that is known, what each of its extrudes made, and its surfaces."""
        place, parts, surfaces = root, [], _Surfaces()
        for extrude in extrudes:
            step = self._steps.get((place, extrude))
            if step is None:
                break
            place, part, surfaces = step
            parts.append(part)
        return place, parts, surfaces.copy()

    def add(self, place: Any, extrude: Extrude, part: manifold3d.Manifold, surfaces: _Surfaces) -> Any:
        """Note what an extrude made of the part at a place; return its own place."""
        if len(self._steps) >= self._most:
            self._steps.clear()
        number = next(self._numbers)
        self._steps[place, extrude] = number, part, surfaces.copy()
        return number


def build(program: Program, arc_step: float = math.pi / 36, known: Beginnings | None = None) -> Solid:
    """Build the solid that a program describes.

    ``NEW`` and ``JOIN`` unite (as does CadQuery's ``union``, with which GenCAD-Code writes both), ``CUT``
    subtracts from everything made so far and ``INTERSECT`` keeps what is common.

    Args:
        program: what to build, in its own unit.
        arc_step: largest angle between two points on an arc, in radians; pi/36 loses 0.13 % of a disc's area.
        known: what was built before; it is added to. None builds everything anew.

    Returns:
        The solid in the program's unit; several bodies are allowed (see :attr:`Solid.n_bodies`).

    Raises:
        InputError: if a loop crosses itself or encloses nothing, or nothing is left at the end.
    """
    extrudes = program.extrudes
    rings_of = _rings if known is None else known.rings
    made = [rings_of(e, i, arc_step) for i, e in enumerate(extrudes)]
    rings = [[ring for ring, _ in loops] for loops in made]
    unit = _unit(program, rings)
    frame = _frame([e.sketch.plane for e in extrudes])
    place, steps, surfaces = None, list[manifold3d.Manifold](), _Surfaces()
    if known is not None:
        place, steps, surfaces = known.find((unit, frame.tobytes(), arc_step), extrudes)
    for i in range(len(steps), len(extrudes)):
        tool = _tool(extrudes[i], rings[i], unit, frame, i, [labels for _, labels in made[i]], surfaces)
        # Not evaluated yet: a tool that cannot be made ends it all.
        steps.append(_combined(steps[-1], tool, extrudes[i].operation) if steps else tool)
        if known is not None:
            place = known.add(place, extrudes[i], steps[-1], surfaces)
    part = steps[-1]
    if part.is_empty():
        index = next(i for i, step in enumerate(steps) if step.is_empty())
        what = program.extrudes[index].operation.value
        raise InputError(f"extrude {index + 1} ({what}) leaves nothing of the part")
    size = float(np.ptp(np.asarray(part.bounding_box()).reshape(2, 3), axis=0).max())
    if part.volume() <= 1e-9 * size**3:
        raise InputError("the program leaves nothing of the part but slivers")
    back = np.zeros((3, 4))
    back[:, :3] = frame.T * unit
    return Solid.from_manifold(part.transform(back), table=surfaces.table())


def _combined(part: manifold3d.Manifold, tool: manifold3d.Manifold, operation: Operation) -> manifold3d.Manifold:
    """Return a part with one extrude's own solid united, cut away or kept in common."""
    if operation is Operation.CUT:
        return part - tool
    return part ^ tool if operation is Operation.INTERSECT else part + tool


class _Surfaces:
    """The surfaces that the faces of a part come from, as a boundary representation would count them.

    manifold3d carries a number with every face through the booleans. Each planar facet gets one of its own, and
    ``table`` says on which surface it lies: a cap, or the wall over one curve. A surface's number is four times
    its count plus the third of the turn (0, 1, 2) that the facet of a full circle lies in, counted from the seam.
    """

    def __init__(self) -> None:
        self.count = 0
        self.known = True
        self._rows: list[NDArray[np.int32]] = []
        self._facets = 0

    def copy(self) -> _Surfaces:
        """Return the same, to be added to."""
        other = _Surfaces()
        other.count, other.known, other._rows, other._facets = self.count, self.known, self._rows[:], self._facets
        return other

    def add(self, labels: NDArray[np.int32]) -> int:
        """Add facets by their surface within one tool (``4 * surface + third``); return the first one's number."""
        first = self._facets
        self._rows.append(labels + 4 * self.count)
        self._facets += len(labels)
        self.count += int(labels.max()) // 4 + 1
        return first

    def table(self) -> NDArray[np.int32] | None:
        """Return facet number -> surface, or None where a sketch had to be redrawn and its curves were lost."""
        return np.concatenate(self._rows) if self.known else None


def _seam(plane: Plane) -> float:
    """Return the angle in the sketch at which OpenCascade starts a circle that it is given by centre and normal.

    That is the x direction of ``gp_Ax2(P, V)``; there the wall over the circle has its seam, which is drawn.
    """
    x, y, n = plane.axes()
    a, b, c = n
    aa, ba, ca = abs(a), abs(b), abs(c)
    if ba <= aa and ba <= ca:
        d = (-c, 0.0, a) if aa > ca else (c, 0.0, -a)
    elif aa <= ba and aa <= ca:
        d = (0.0, -c, b) if ba > ca else (0.0, c, -b)
    else:
        d = (-b, a, 0.0) if aa > ba else (b, -a, 0.0)
    return math.atan2(sum(p * q for p, q in zip(d, y, strict=True)), sum(p * q for p, q in zip(d, x, strict=True)))


def _rings(extrude: Extrude, index: int, arc_step: float) -> list[_Ring]:
    return [_ring(loop, index, arc_step, extrude.sketch.plane) for loop in extrude.sketch.loops()]


def _ring(loop: Loop, index: int, arc_step: float, plane: Plane) -> _Ring:
    """Return the loop as a counter-clockwise polygon (N, 2) without repeated points, and its sides' curves (N,).

    A side's number is four times its curve's place in the loop, plus the third of the turn for a circle.
    """
    parts = loop.polylines(arc_step)
    points = np.array([p for part in parts for p in part])
    labels = np.repeat(4 * np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    if loop.is_circle:
        turn = (np.arange(len(points)) + 0.5) / len(points) - _seam(plane) / (2 * math.pi)
        labels = np.minimum((turn % 1.0) * 3, 2).astype(np.int32)
    step = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
    size = float(np.ptp(points, axis=0).max())
    keep = step > 1e-9 * size
    points, labels = points[keep], labels[np.roll(keep, -1)]
    area = _area(points) if len(points) > 2 else 0.0
    if abs(area) <= 1e-9 * size * size:
        raise InputError(f"a loop of extrude {index + 1} encloses no area")
    if area < 0:
        points, labels = points[::-1], np.roll(labels[::-1], -1)
    return np.ascontiguousarray(points), labels


def _area(points: FloatArray) -> float:
    """Return the polygon's signed area."""
    p = points - points[0]
    q = np.concatenate([p[1:], p[:1]])
    return 0.5 * float(p[:, 0] @ q[:, 1] - p[:, 1] @ q[:, 0])


def _unit(program: Program, rings: list[list[FloatArray]]) -> float:
    """Return the power of two nearest above the largest coordinate or length of the program."""
    most = 0.0
    for e, loops in zip(program.extrudes, rings, strict=True):
        most = max(most, e.forward, e.backward, *(abs(v) for v in e.sketch.plane.origin))
        most = max(most, *(float(np.abs(r).max()) for r in loops))
    return float(2.0 ** math.ceil(math.log2(most)))


def _frame(planes: list[Plane]) -> FloatArray:
    """Return the rotation (3, 3) into the frame to work in: the world's if a plane fits it, else the first plane's."""
    axes = [np.array(p.axes()) for p in planes]
    if any(_aligned(a[2]) for a in axes):
        return np.eye(3)
    return axes[0]


def _aligned(direction: FloatArray) -> bool:
    """Whether a unit vector runs along a coordinate axis."""
    return bool(np.abs(direction).max() > 1.0 - 1e-12)


def _contours(sketch: Sketch, rings: list[FloatArray], index: int) -> list[list[FloatArray]]:
    """Return the sketch's region as polygons that do not overlap, outer ones counter-clockwise, holes clockwise.

    A region is the union of its profiles, a profile the outer loop less its holes. As long as no two loops
    cross, the polygons are the loops themselves, to the last bit; otherwise Clipper makes them. They come in
    groups that must be united as solids: profiles that may share an edge are a group each, else all are one.
    """
    profiles: list[list[FloatArray]] = []
    todo = iter(rings)
    for p in sketch.profiles:
        profiles.append([next(todo)] + [next(todo)[::-1] for _ in p.holes])
    loops = [np.ascontiguousarray(r) for profile in profiles for r in profile]
    if _is_simple(loops):
        if _apart([profile[0] for profile in profiles]):
            return [loops]
        return [[np.ascontiguousarray(r) for r in profile] for profile in profiles]
    for ring in rings:
        if not _is_simple([ring]):
            raise InputError(f"a loop of extrude {index + 1} crosses itself")
    scale = 1.0 / max(float(np.abs(r).max()) for r in rings)
    regions = [manifold3d.CrossSection([np.ascontiguousarray(r * scale) for r in profile]) for profile in profiles]
    region = manifold3d.CrossSection.batch_boolean(regions, manifold3d.OpType.Add)
    if region.is_empty():
        raise InputError(f"the sketch of extrude {index + 1} encloses no area: its holes cover it")
    return [[polygon / scale for polygon in region.to_polygons()]]


def _apart(outlines: list[FloatArray]) -> bool:
    """Whether the boxes of the outlines are clear of each other, so that they cannot share an edge."""
    if len(outlines) == 1:
        return True
    low, high = np.array([r.min(axis=0) for r in outlines]), np.array([r.max(axis=0) for r in outlines])
    slack = 1e-6 * float((high - low).max())
    clear = np.any((low[:, None] > high[None] + slack) | (low[None] > high[:, None] + slack), axis=2)
    return bool(np.all(clear | np.eye(len(outlines), dtype=bool)))


def _is_simple(loops: list[FloatArray]) -> bool:
    """Whether no loop crosses itself or another: then no point is wound about twice or negatively.

    Compares the area where the winding number is positive (Clipper) with the integral of the winding number.
    """
    if len(loops) == 1 and len(loops[0]) == 3:
        return True
    points = np.concatenate(loops)
    low, size = points.min(axis=0), float(np.ptp(points, axis=0).max())
    scaled = [(r - low) / size for r in loops]  # about 1, since Clipper rounds to eight decimals
    wound = sum(_area(r) for r in scaled)
    return bool(abs(manifold3d.CrossSection(scaled).area() - wound) <= AREA_TOLERANCE)


def _tool(
    extrude: Extrude,
    rings: list[FloatArray],
    unit: float,
    frame: FloatArray,
    index: int,
    labels: list[NDArray[np.int32]],
    surfaces: _Surfaces,
) -> manifold3d.Manifold:
    """Return one extrude's own solid in the working frame and unit."""
    plane = extrude.sketch.plane
    axes = frame @ np.array(plane.axes()).T
    axes[np.abs(axes) < 1e-12] = 0.0
    low, high = -extrude.backward / unit, extrude.forward / unit
    on_grid = _aligned(axes[:, 2])
    if not on_grid:
        longer = 2 * OVERLAP if extrude.operation is Operation.CUT else OVERLAP  # a cut goes right through
        low, high = low - longer, high + longer
    groups = _contours(extrude.sketch, rings, index)
    first = _facets(extrude.sketch, [c for group in groups for c in group], labels, surfaces)
    wall = first + 2
    solids = []
    for contours in groups:
        points, faces = _prism(contours, low * unit, high * unit)
        n = len(points) // 2
        n_caps = (len(faces) - 2 * n) // 2
        sides = np.arange(wall, wall + n)
        wall += n
        facets = np.concatenate([np.full(n_caps, first), np.full(n_caps, first + 1), sides, sides]).astype(np.uint64)
        placed = (points @ axes.T + frame @ np.array(plane.origin)) / unit
        if on_grid:
            placed = np.round(placed / GRID) * GRID
        made = manifold3d.Manifold(manifold3d.Mesh64(np.ascontiguousarray(placed), faces, face_id=facets))
        if made.status() != manifold3d.Error.NoError or made.is_empty():
            raise InputError(f"extrude {index + 1} is too thin or too small to be a solid")
        solids.append(made)
    return solids[0] if len(solids) == 1 else manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)


def _facets(
    sketch: Sketch,
    contours: list[FloatArray],
    labels: list[NDArray[np.int32]],
    surfaces: _Surfaces,
) -> int:
    """Note the surface that each facet of a tool lies on: the two caps, then the wall over each side in order.

    Returns:
        The number of the first facet; the others follow it.
    """
    if [len(c) for c in contours] != [len(side) for side in labels]:
        surfaces.known = False
        labels = [np.zeros(len(c), dtype=np.int32) for c in contours]
    # Surfaces of this tool: the two caps, then the walls, loop by loop. Holes run clockwise in the contours.
    walls, count = [], 2
    holes = [False for _ in contours]
    if surfaces.known:
        holes = [k > 0 for p in sketch.profiles for k in range(1 + len(p.holes))]
    for side, hole in zip(labels, holes, strict=True):
        walls.append((np.roll(side[::-1], -1) if hole else side) + 4 * count)
        count += int(side.max()) // 4 + 1
    return surfaces.add(np.concatenate([np.array([0, 4], dtype=np.int32), *walls]))


def _prism(contours: list[FloatArray], low: float, high: float) -> tuple[FloatArray, NDArray[np.uint64]]:
    """Return (points (2N, 3), faces (F, 3)) of the region swept from ``low`` to ``high``, outward."""
    flat = np.concatenate(contours)
    n = len(flat)
    points = np.empty((2 * n, 3))
    points[:n, :2] = points[n:, :2] = flat
    points[:n, 2], points[n:, 2] = low, high
    caps = np.asarray(manifold3d.triangulate(contours), dtype=np.uint64)
    following = np.arange(1, n + 1, dtype=np.uint64)
    start = 0
    for contour in contours:
        following[start + len(contour) - 1] = start
        start += len(contour)
    i = np.arange(n, dtype=np.uint64)
    top = np.uint64(n)
    walls = [np.stack([i, following, following + top], axis=1), np.stack([i, following + top, i + top], axis=1)]
    return points, np.concatenate([caps[:, ::-1], caps + top, *walls])
