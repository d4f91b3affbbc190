"""The CadQuery calls that ``parse`` reads: their arguments as CadQuery names them, and what each does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.bodies import Body, combine
from cadcoder.program.shapes import Shape
from cadcoder.program.types import STANDARD_PLANES, Operation, Plane, Point, Vector
from cadcoder.program.workplane import MAX_ITEMS, Budget, Chain, Context, default_x

#: CadQuery's further names of planes: name -> (x direction, normal).
_MORE_PLANES: dict[str, tuple[Vector, Vector]] = {
    "front": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "back": ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "left": ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0)),
    "right": ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
    "top": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "bottom": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
}
_PLANES = {**STANDARD_PLANES, **_MORE_PLANES}
#: Marks an argument that must be given.
NEEDED = object()


def number(value: Any, what: str) -> float:
    """Return a value as a finite float.

    Raises:
        InputError: if it is none; the text begins with ``what``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} must be a number")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{what} is not a finite number")
    return float(value)


def point(value: Any, what: str = "a point") -> Point:
    """Return a value as a point; a third coordinate must be 0."""
    if not isinstance(value, tuple) or len(value) not in (2, 3) or (len(value) == 3 and value[2] != 0):
        raise InputError(f"{what} must be two numbers")
    return number(value[0], "a coordinate"), number(value[1], "a coordinate")


def vector(value: Any, what: str) -> Vector:
    """Return a value as three numbers; two have a third of 0."""
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise InputError(f"{what} must be three numbers")
    x, y, z = (*value, 0.0) if len(value) == 2 else value
    return number(x, what), number(y, what), number(z, what)


def flag(value: Any, what: str) -> bool:
    """Return a value that must be True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{what} must be True or False")
    return value


def flags(value: Any, what: str, n: int) -> tuple[bool, ...]:
    """Return True or False, or so many of them, as a tuple of that length."""
    values = value if isinstance(value, tuple) else (value,) * n
    if len(values) != n:
        raise InputError(f"{what} must be True or False, or {n} of them")
    return tuple(flag(v, what) for v in values)


def count(value: Any, most: int = MAX_ITEMS) -> int:
    """Return a whole number of things, at least one."""
    n = number(value, "a count")
    if n != int(n) or not 1 <= n <= most:
        raise InputError(f"a count must be a whole number from 1 to {most}")
    return int(n)


def points(value: Any, what: str) -> list[Point]:
    """Return a list of points."""
    if not isinstance(value, tuple):
        raise InputError(f"{what} needs a list of points")
    if len(value) > MAX_ITEMS:
        raise InputError(f"{what} has more than {MAX_ITEMS} points")
    return [point(p) for p in value]


@dataclass(frozen=True)
class Call:
    """A method: what it does, and its arguments in CadQuery's order with their defaults."""

    run: Callable[..., Any]
    arguments: dict[str, Any]

    def __call__(self, value: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        """Call it on a value."""
        return self.run(value, *bind(self.arguments, args, keywords))


def bind(arguments: dict[str, Any], args: list[Any], keywords: dict[str, Any]) -> list[Any]:
    """Return the values of the arguments in order.

    Raises:
        InputError: for too many, an unknown, a repeated or a missing one.
    """
    if len(args) > len(arguments):
        raise InputError(f"{len(args)} arguments where at most {len(arguments)} are read")
    out = dict(arguments)
    out.update(zip(arguments, args, strict=False))
    for key, value in keywords.items():
        if key not in arguments:
            raise InputError(f"the argument {key!r} is not read")
        if key in list(arguments)[: len(args)]:
            raise InputError(f"the argument {key!r} is given twice")
        out[key] = value
    for key, value in out.items():
        if value is NEEDED:
            raise InputError(f"the argument {key!r} is missing")
    return list(out.values())


def make_vector(args: list[Any], keywords: dict[str, Any]) -> Vector:
    """Return ``cq.Vector(...)``."""
    if keywords:
        raise InputError("a Vector takes no named arguments")
    return vector(args[0] if len(args) == 1 else tuple(args), "a vector")


def make_plane(args: list[Any], keywords: dict[str, Any]) -> Plane:
    """Return ``cq.Plane(origin, xDir, normal)``."""
    defaults = {"origin": NEEDED, "xDir": None, "normal": (0.0, 0.0, 1.0)}
    origin, x_dir, normal = bind(defaults, args, keywords)
    n = vector(normal, "a plane's normal")
    x = default_x(n) if x_dir is None else vector(x_dir, "a plane's x direction")
    return Plane(vector(origin, "a plane's origin"), x, n)


def named_plane(name: Any, origin: Any) -> Plane:
    """Return ``cq.Plane.named(name, origin)``."""
    if not isinstance(name, str) or name not in _PLANES:
        raise InputError(f"there is no plane {name!r:.40}; CadQuery has {', '.join(_PLANES)}")
    return Plane(vector(origin, "an origin"), *_PLANES[name])


def make_workplane(args: list[Any], keywords: dict[str, Any], budget: Budget) -> Chain:
    """Return ``cq.Workplane(inPlane, origin)``."""
    plane, origin = bind({"inPlane": "XY", "origin": (0.0, 0.0, 0.0)}, args, keywords)
    return Chain(plane if isinstance(plane, Plane) else named_plane(plane, origin), Context(budget))


def _rect(c: Chain, width: Any, height: Any, centered: Any, construction: Any) -> Chain:
    # CadQuery lets a corner rectangle run to the negative side.
    w, h = number(width, "a width"), number(height, "a height")
    middle = [0.0 if centred else v / 2 for centred, v in zip(flags(centered, "centered", 2), (w, h), strict=True)]
    shape = Shape("rect", (abs(w), abs(h)), (middle[0], middle[1]))
    return c.stamp(shape, construction=flag(construction, "forConstruction"))


def _circle(c: Chain, radius: Any, construction: Any) -> Chain:
    shape = Shape("circle", (number(radius, "a radius"),), (0.0, 0.0))
    return c.stamp(shape, construction=flag(construction, "forConstruction"))


def _polygon(c: Chain, sides: Any, diameter: Any, construction: Any, circumscribed: Any) -> Chain:
    n, d, turn = count(sides, 360), number(diameter, "a diameter"), 0.0
    if n < 3:
        raise InputError("a polygon has at least 3 sides")
    if flag(circumscribed, "circumscribed"):
        d, turn = d / math.cos(math.pi / n), 180.0 / n
    return c.stamp(Shape("polygon", (float(n), d), (0.0, 0.0)), turn, flag(construction, "forConstruction"))


def _slot(c: Chain, length: Any, diameter: Any, angle: Any) -> Chain:
    sizes = number(length, "a length"), number(diameter, "a diameter"), number(angle, "an angle")
    return c.stamp(Shape("slot", sizes, (0.0, 0.0)))


def _box(c: Chain, length: Any, width: Any, height: Any, centered: Any) -> Body:
    x, y, z = flags(centered, "centered", 3)
    _empty(c)
    return _upright(_rect(c, length, width, (x, y), False), number(height, "a height"), z)


def _cylinder(c: Chain, height: Any, radius: Any) -> Body:
    _empty(c)
    return _upright(_circle(c, radius, False), number(height, "a height"), True)


def _empty(c: Chain) -> None:
    if c.context.loops or c.context.edges:
        raise InputError("a box or cylinder between loops that are not extruded is not read")


def _upright(c: Chain, height: float, centered: bool) -> Body:
    if height <= 0:
        raise InputError("a height must be positive")
    return c.prism(-height / 2, height / 2) if centered else c.prism(0.0, height)


def _extrude(c: Chain, until: Any, merge: Any, clean: Any, both: Any, taper: Any) -> Body:
    d = number(until, "an extrusion's length")
    if (merge is not True and merge is not False and merge != "a") or taper not in (None, 0):
        raise InputError("only straight extrudes that add are read")
    if flag(both, "both"):
        return c.prism(-abs(d), abs(d))
    return c.prism(min(d, 0.0), max(d, 0.0))


def _rarray(c: Chain, dx: Any, dy: Any, nx: Any, ny: Any, center: Any) -> Chain:
    x, y = flags(center, "center", 2)
    sizes = number(dx, "a spacing"), number(dy, "a spacing")
    return c.rarray(*sizes, count(nx), count(ny, MAX_ITEMS // count(nx)), (x, y))


def _polar(c: Chain, radius: Any, start: Any, angle: Any, n: Any, fill: Any, rotate: Any) -> Chain:
    sizes = number(radius, "a radius"), number(start, "an angle"), number(angle, "an angle")
    return c.polar(*sizes, count(n), flag(fill, "fill"), flag(rotate, "rotate"))


def _add(c: Chain, other: Any) -> Chain:
    if not isinstance(other, Chain):
        raise InputError("add() is only read for what was drawn on the same workplane")
    return c.add(other)


def _polyline(c: Chain, listed: Any, construction: Any, current: Any) -> Chain:
    if construction is not False:
        raise InputError("construction lines are not read")
    return c.polyline(points(listed, "polyline()"), flag(current, "includeCurrent"))


def _xy(x: Any, y: Any) -> Point:
    return number(x, "a coordinate"), number(y, "a coordinate")


def _shifted(p: Point, x: float, y: float) -> Point:
    return p[0] + x, p[1] + y


def _one(value: Any) -> float:
    return number(value, "a coordinate")


CHAIN: dict[str, Call] = {
    "add": Call(_add, {"obj": NEEDED}),
    "box": Call(_box, {"length": NEEDED, "width": NEEDED, "height": NEEDED, "centered": True}),
    "center": Call(lambda c, x, y: c.center(*_xy(x, y)), {"x": NEEDED, "y": NEEDED}),
    "circle": Call(_circle, {"radius": NEEDED, "forConstruction": False}),
    "close": Call(lambda c: c.close(), {}),
    "cylinder": Call(_cylinder, {"height": NEEDED, "radius": NEEDED}),
    "extrude": Call(_extrude, {"until": NEEDED, "combine": True, "clean": True, "both": False, "taper": None}),
    "hLine": Call(lambda c, d: c.line_to(_shifted(c.here, _one(d), 0.0)), {"distance": NEEDED}),
    "hLineTo": Call(lambda c, x: c.line_to((c.origin[0] + _one(x), c.here[1])), {"xCoord": NEEDED}),
    "line": Call(lambda c, x, y: c.line_to(_shifted(c.here, *_xy(x, y))), {"xDist": NEEDED, "yDist": NEEDED}),
    "lineTo": Call(lambda c, x, y: c.line_to(c.local(_xy(x, y))), {"x": NEEDED, "y": NEEDED}),
    "move": Call(lambda c, x, y: c.move(*_xy(x, y)), {"xDist": 0.0, "yDist": 0.0}),
    "moveTo": Call(lambda c, x, y: c.move_to(*_xy(x, y)), {"x": 0.0, "y": 0.0}),
    "polarArray": Call(
        _polar,
        {"radius": NEEDED, "startAngle": NEEDED, "angle": NEEDED, "count": NEEDED, "fill": True, "rotate": True},
    ),
    "polygon": Call(_polygon, {"nSides": NEEDED, "diameter": NEEDED, "forConstruction": False, "circumscribed": False}),
    "polyline": Call(
        _polyline,
        {"listOfXYTuple": NEEDED, "forConstruction": False, "includeCurrent": False},
    ),
    "pushPoints": Call(lambda c, p: c.push(points(p, "pushPoints()")), {"pntList": NEEDED}),
    "rarray": Call(
        _rarray, {"xSpacing": NEEDED, "ySpacing": NEEDED, "xCount": NEEDED, "yCount": NEEDED, "center": True}
    ),
    "rect": Call(_rect, {"xLen": NEEDED, "yLen": NEEDED, "centered": True, "forConstruction": False}),
    "slot2D": Call(_slot, {"length": NEEDED, "diameter": NEEDED, "angle": 0.0}),
    "threePointArc": Call(lambda c, p, q: c.arc_to(point(p), point(q)), {"point1": NEEDED, "point2": NEEDED}),
    "vLine": Call(lambda c, d: c.line_to(_shifted(c.here, 0.0, _one(d))), {"distance": NEEDED}),
    "vLineTo": Call(lambda c, y: c.line_to((c.here[0], c.origin[1] + _one(y))), {"yCoord": NEEDED}),
    "vertices": Call(lambda c: c.vertices(), {}),
    "workplane": Call(lambda c, offset: c.workplane(number(offset, "an offset")), {"offset": 0.0}),
}


def _boolean(operation: Operation) -> Callable[..., Body]:
    def run(body: Body, other: Any, clean: Any, *ignored: Any) -> Body:
        if not isinstance(other, Body):
            raise InputError(f"{operation.value} needs a part that was extruded")
        return combine(body, other, Operation.NEW if operation is Operation.JOIN and clean is False else operation)

    return run


BODY: dict[str, Call] = {
    "clean": Call(lambda body: body, {}),
    "cut": Call(_boolean(Operation.CUT), {"toCut": NEEDED, "clean": True, "tol": None}),
    "intersect": Call(_boolean(Operation.INTERSECT), {"toIntersect": NEEDED, "clean": True, "tol": None}),
    "union": Call(_boolean(Operation.JOIN), {"toUnion": NEEDED, "clean": True, "glue": False, "tol": None}),
}
