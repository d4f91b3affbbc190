"""CadQuery text to Program, by reading its syntax tree: nothing is ever executed.

Reads both dialects that ``emit`` writes, the editable style with named numbers, and the part of everyday
CadQuery that is sketch and extrude. Anything else is an :class:`InputError` that names the line.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.canonical import nest
from cadcoder.program.patterns import Grid, Ring
from cadcoder.program.shapes import Shape, closed
from cadcoder.program.types import (
    STANDARD_PLANES,
    Arc,
    Curve,
    Extrude,
    Line,
    Loop,
    Operation,
    Plane,
    Point,
    Program,
    Sketch,
    Vector,
)

#: A script longer than this, in characters, is refused before it is read.
MAX_TEXT = 200_000
#: A pattern that pushes more points than this is refused.
MAX_POINTS = 10_000

_RESULTS = ("solid", "result", "r", "part")


class _Unreadable(Exception):
    """What cannot be read, without its line."""


@dataclass(frozen=True)
class _Body:
    """Extrudes in order: the value of a Workplane once something was extruded."""

    extrudes: tuple[Extrude, ...]


@dataclass(frozen=True)
class _Chain:
    """A Workplane before its extrude: plane, offset along the normal, points on the stack, loops drawn."""

    plane: Plane
    offset: float = 0.0
    origin: Point = (0.0, 0.0)
    points: tuple[Point, ...] = ((0.0, 0.0),)
    loops: tuple[Loop, ...] = ()
    path: tuple[Curve, ...] = ()
    start: Point = (0.0, 0.0)
    here: Point = (0.0, 0.0)
    body: _Body | None = field(default=None)


def parse(code: str) -> Program:
    """Return the program that a CadQuery script describes.

    Args:
        code: the script's text.

    Raises:
        InputError: if the text is not Python, or uses what a sketch-extrude program cannot say; the message
            names the line.
    """
    if len(code) > MAX_TEXT:
        raise InputError(f"the script has {len(code)} characters; at most {MAX_TEXT} are read")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the script is not valid Python: {error}") from None
    names: dict[str, Any] = {}
    last: _Body | None = None
    for statement in tree.body:
        try:
            value = _statement(statement, names)
        except (_Unreadable, InputError) as error:
            raise InputError(f"line {statement.lineno}: {error}") from None
        except (ArithmeticError, RecursionError) as error:
            raise InputError(f"line {statement.lineno}: {type(error).__name__}: {error}") from None
        if isinstance(value, _Body):
            last = value
    for name in _RESULTS:
        if isinstance(names.get(name), _Body):
            last = names[name]
            break
    if last is None:
        raise InputError("the script extrudes nothing; a program needs at least one extrude")
    return Program(last.extrudes)


def _statement(node: ast.stmt, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        if any(m not in ("cadquery", "math") for m in modules):
            raise _Unreadable(f"it imports {', '.join(modules)}; only cadquery and math are read")
        return None
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        names[node.targets[0].id] = value = _eval(node.value, names)
        return value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        names[node.target.id] = value = _eval(node.value, names)
        return value
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        value = _binary(node.op, _lookup(node.target.id, names), _eval(node.value, names))
        names[node.target.id] = value
        return value
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "show_object"
            and call.args
        ):
            return _eval(call.args[0], names)
        return _eval(node.value, names)
    raise _Unreadable(f"a {type(node).__name__} statement is more than a sketch-extrude program can say")


def _lookup(name: str, names: dict[str, Any]) -> Any:
    if name not in names:
        raise _Unreadable(f"the name {name!r} is not defined")
    return names[name]


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_BOOLEANS: dict[type[ast.operator], Operation] = {
    ast.Add: Operation.JOIN,
    ast.Sub: Operation.CUT,
    ast.Mult: Operation.INTERSECT,
}


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unreadable(f"{what} must be a number")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _Unreadable(f"{what} is not a finite number")
    return value


def _binary(op: ast.operator, a: Any, b: Any) -> Any:
    if isinstance(a, _Body) and isinstance(b, _Body) and type(op) in _BOOLEANS:
        return _combine(a, b, _BOOLEANS[type(op)])
    if type(op) not in _ARITHMETIC:
        raise _Unreadable(f"the operator {type(op).__name__} is not read")
    return float(_ARITHMETIC[type(op)](_number(a, "an operand"), _number(b, "an operand")))


def _combine(a: _Body, b: _Body, operation: Operation) -> _Body:
    first, *rest = b.extrudes
    if rest and operation is not Operation.JOIN:
        raise _Unreadable(f"a part of several extrudes is used in {operation.value}: a program combines one at a time")
    return _Body((*a.extrudes, replace(first, operation=operation), *rest))


def _eval(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str | bool):
            return node.value
        return _number(node.value, "a constant")
    if isinstance(node, ast.Name):
        return _lookup(node.id, names)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _number(_eval(node.operand, names), "an operand")
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _binary(node.op, _eval(node.left, names), _eval(node.right, names))
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_eval(e, names) for e in node.elts)
    if isinstance(node, ast.Attribute) and _dotted(node) == "math.pi":
        return math.pi
    if isinstance(node, ast.Call):
        return _call(node, names)
    raise _Unreadable(f"a {type(node).__name__} is more than a sketch-extrude program can say")


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def _call(node: ast.Call, names: dict[str, Any]) -> Any:
    # A script is one long chain of calls: walk it with a loop, since a nested one could exhaust the stack.
    links: list[ast.Call] = []
    base: ast.expr = node
    while isinstance(base, ast.Call):
        links.append(base)
        if not isinstance(base.func, ast.Attribute) or _constructor(base.func):
            break
        base = base.func.value
    value: Any = None
    if isinstance(base, ast.Call):
        links.pop()
        value = _construct(base, names)
    else:
        value = _eval(base, names)
    for link in reversed(links):
        assert isinstance(link.func, ast.Attribute)
        args, keywords = _arguments(link, names)
        value = _method(value, link.func.attr, args, keywords)
    return value


def _constructor(func: ast.expr) -> str | None:
    name = _dotted(func)
    for known in ("Workplane", "Plane", "Vector"):
        if name in (known, f"cq.{known}", f"cadquery.{known}"):
            return known
    return None


def _arguments(node: ast.Call, names: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise _Unreadable("starred arguments are not read")
    return [_eval(a, names) for a in node.args], {str(k.arg): _eval(k.value, names) for k in node.keywords}


def _construct(node: ast.Call, names: dict[str, Any]) -> Any:
    kind = _constructor(node.func)
    if kind is None:
        raise _Unreadable(f"the call of {_dotted(node.func) or 'this'} is not read")
    args, keywords = _arguments(node, names)
    if kind == "Vector":
        return _vector(args[0] if len(args) == 1 else tuple(args), "a vector")
    if kind == "Plane":
        a = _bind(args, keywords, origin=(0.0, 0.0, 0.0), xDir=None, normal=(0.0, 0.0, 1.0))
        normal = _vector(a["normal"], "a plane's normal")
        x_dir = _default_x(normal) if a["xDir"] is None else _vector(a["xDir"], "a plane's x direction")
        return Plane(_vector(a["origin"], "a plane's origin"), x_dir, normal)
    a = _bind(args, keywords, inPlane="XY", origin=(0.0, 0.0, 0.0), obj=None)
    if isinstance(a["inPlane"], Plane):
        return _Chain(a["inPlane"])
    if a["inPlane"] not in STANDARD_PLANES:
        raise _Unreadable(f"there is no plane {a['inPlane']!r}; CadQuery has {', '.join(STANDARD_PLANES)}")
    x_dir, normal = STANDARD_PLANES[a["inPlane"]]
    return _Chain(Plane(_vector(a["origin"], "an origin"), x_dir, normal))


def _default_x(normal: Vector) -> Vector:
    """CadQuery's x direction where none is given: gp_Ax3's own choice from the normal."""
    a, b, c = normal
    aa, ba, ca = abs(a), abs(b), abs(c)
    if ba <= aa and ba <= ca:
        return (-c, 0.0, a) if aa > ca else (c, 0.0, -a)
    if aa <= ba and aa <= ca:
        return (0.0, -c, b) if ba > ca else (0.0, c, -b)
    return (-b, a, 0.0) if aa > ba else (b, -a, 0.0)


def _bind(args: list[Any], keywords: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Bind arguments to names in order; a default of ``_bind`` (this function) marks one that is required."""
    if len(args) > len(defaults):
        raise _Unreadable(f"{len(args)} arguments where at most {len(defaults)} are read")
    out = dict(defaults)
    out.update(zip(defaults, args, strict=False))
    for key, value in keywords.items():
        if key not in defaults:
            raise _Unreadable(f"the argument {key!r} is not read")
        out[key] = value
    for key, value in out.items():
        if value is _bind:
            raise _Unreadable(f"the argument {key!r} is missing")
    return out


def _vector(value: Any, what: str) -> Vector:
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise _Unreadable(f"{what} must be three numbers")
    x, y, z = (*value, 0.0) if len(value) == 2 else value
    return _number(x, what), _number(y, what), _number(z, what)


def _point(value: Any) -> Point:
    if not isinstance(value, tuple) or len(value) != 2:
        raise _Unreadable("a point must be two numbers")
    return _number(value[0], "a coordinate"), _number(value[1], "a coordinate")


def _method(value: Any, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
    if isinstance(value, _Body):
        return _body_method(value, name, args, keywords)
    if not isinstance(value, _Chain):
        raise _Unreadable(f".{name}() is called on something that is not a Workplane")
    if name not in _CHAIN:
        raise _Unreadable(f".{name}() is more than a sketch-extrude program can say")
    return _CHAIN[name](value, args, keywords)


def _body_method(body: _Body, name: str, args: list[Any], keywords: dict[str, Any]) -> _Body:
    operations = {"union": Operation.JOIN, "cut": Operation.CUT, "intersect": Operation.INTERSECT}
    if name == "clean" and not args:
        return body
    if name not in operations:
        raise _Unreadable(f".{name}() after an extrude is more than a sketch-extrude program can say")
    a = _bind(args, keywords, toAdd=_bind, clean=True, glue=False, tol=None)
    if not isinstance(a["toAdd"], _Body):
        raise _Unreadable(f".{name}() needs a part that was extruded")
    operation = operations[name]
    if operation is Operation.JOIN and a["clean"] is False:
        operation = Operation.NEW
    return _combine(body, a["toAdd"], operation)


def _shift(chain: _Chain, p: Point) -> Point:
    return chain.origin[0] + p[0], chain.origin[1] + p[1]


def _no_path(chain: _Chain, what: str) -> None:
    if chain.path:
        raise _Unreadable(f".{what}() follows edges that are not closed; call .close() first")


def _stamp(chain: _Chain, kind: str, sizes: tuple[float, ...]) -> _Chain:
    """Draw a named shape at every point of the stack."""
    _no_path(chain, kind)
    if any(s <= 0 for s in sizes[:2]):
        raise _Unreadable(f".{kind}() needs positive sizes")
    if len(chain.loops) + len(chain.points) > MAX_POINTS:
        raise _Unreadable(f"a sketch has more than {MAX_POINTS} loops")
    return replace(chain, loops=chain.loops + tuple(Shape(kind, sizes, p).loop() for p in chain.points))


def _rect(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, xLen=_bind, yLen=_bind, centered=True, forConstruction=False)
    w, h = _number(a["xLen"], "a width"), _number(a["yLen"], "a height")
    if a["forConstruction"] is not False:
        raise _Unreadable("construction rectangles are not read")
    centered = a["centered"] if isinstance(a["centered"], tuple) else (a["centered"],) * 2
    dx, dy = (0.0 if centered[0] else w / 2), (0.0 if centered[1] else h / 2)
    moved = replace(chain, points=tuple((x + dx, y + dy) for x, y in chain.points))
    return _stamp(moved, "rect", (w, h))


def _circle(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    return _stamp(chain, "circle", (_number(_bind(args, keywords, radius=_bind)["radius"], "a radius"),))


def _polygon(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, nSides=_bind, diameter=_bind, forConstruction=False, circumscribed=False)
    n, d = _number(a["nSides"], "a number of sides"), _number(a["diameter"], "a diameter")
    if n != int(n) or not 3 <= n <= 360:
        raise _Unreadable("a polygon has 3 to 360 sides")
    if a["circumscribed"]:
        d /= math.cos(math.pi / n)
    return _stamp(chain, "polygon", (n, d))


def _slot(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, length=_bind, diameter=_bind, angle=0.0)
    length, d = _number(a["length"], "a length"), _number(a["diameter"], "a diameter")
    if length <= d:
        raise _Unreadable("a slot must be longer than its diameter")
    return _stamp(chain, "slot", (length, d, _number(a["angle"], "an angle")))


def _xy(name_x: str, name_y: str, args: list[Any], keywords: dict[str, Any]) -> Point:
    a = _bind(args, keywords, **{name_x: 0.0, name_y: 0.0})
    return _number(a[name_x], "a coordinate"), _number(a[name_y], "a coordinate")


def _move_to(chain: _Chain, p: Point) -> _Chain:
    _no_path(chain, "moveTo")
    return replace(chain, points=(p,), start=p, here=p)


def _draw(chain: _Chain, curve: Line | Arc) -> _Chain:
    start = chain.start if chain.path else curve.start
    return replace(chain, path=(*chain.path, curve), start=start, here=curve.end)


def _line_to(chain: _Chain, p: Point) -> _Chain:
    return chain if p == chain.here else _draw(chain, Line(chain.here, p))


def _moved(chain: _Chain, d: Point) -> Point:
    return chain.here[0] + d[0], chain.here[1] + d[1]


def _one(args: list[Any], keywords: dict[str, Any], name: str) -> float:
    return _number(_bind(args, keywords, **{name: _bind})[name], "a coordinate")


def _arc(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, point1=_bind, point2=_bind)
    return _draw(chain, Arc(chain.here, _shift(chain, _point(a["point1"])), _shift(chain, _point(a["point2"]))))


def _polyline(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    points = _bind(args, keywords, listOfXYTuple=_bind)["listOfXYTuple"]
    if not isinstance(points, tuple) or not points:
        raise _Unreadable("a polyline needs a list of points")
    for i, p in enumerate(points):
        chain = _move_to(chain, _shift(chain, _point(p))) if i == 0 else _line_to(chain, _shift(chain, _point(p)))
    return chain


def _close(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    path = chain.path
    if not path:
        raise _Unreadable(".close() has no edges to close")
    end = path[-1]
    assert isinstance(end, Line | Arc)
    size = max(1e-9, *(abs(v) for v in (*chain.start, *chain.here)))
    if math.dist(end.end, chain.start) > 1e-9 * size:
        path = (*path, Line(end.end, chain.start))
    elif end.end != chain.start:
        path = (*path[:-1], replace(end, end=chain.start))
    loop = (
        closed([c.start for c in path if isinstance(c, Line)]) if all(isinstance(c, Line) for c in path) else Loop(path)
    )
    if len(loop.curves) < 2:
        raise _Unreadable(".close() on a single straight edge encloses nothing")
    # Where the wire's centre lies is CadQuery's affair: what follows must say where it is drawn.
    return replace(chain, loops=(*chain.loops, loop), path=(), points=(), here=chain.start)


def _push_points(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    _no_path(chain, "pushPoints")
    points = _bind(args, keywords, pntList=_bind)["pntList"]
    if not isinstance(points, tuple) or not points:
        raise _Unreadable(".pushPoints() needs a list of points")
    return replace(chain, points=tuple(_shift(chain, _point(p)) for p in points))


def _count(value: Any) -> int:
    n = _number(value, "a count")
    if n != int(n) or not 1 <= n <= MAX_POINTS:
        raise _Unreadable(f"a count must be a whole number from 1 to {MAX_POINTS}")
    return int(n)


def _rarray(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, xSpacing=_bind, ySpacing=_bind, xCount=_bind, yCount=_bind, center=True)
    nx, ny = _count(a["xCount"]), _count(a["yCount"])
    dx, dy = _number(a["xSpacing"], "a spacing"), _number(a["ySpacing"], "a spacing")
    if nx * ny > MAX_POINTS or a["center"] is not True:
        raise _Unreadable("only centred arrays of at most 10,000 points are read")
    return replace(chain, points=tuple(_shift(chain, p) for p in Grid(dx, dy, nx, ny).points()))


def _polar(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    a = _bind(args, keywords, radius=_bind, startAngle=_bind, angle=_bind, count=_bind, fill=True, rotate=True)
    r, start = _number(a["radius"], "a radius"), _number(a["startAngle"], "an angle")
    total, n = _number(a["angle"], "an angle"), _count(a["count"])
    if a["fill"] is True and abs(total - 360.0) < 1e-9:
        return replace(chain, points=tuple(_shift(chain, p) for p in Ring(r, start, n).points()))
    if a["fill"] is True and n > 1:
        total = total / n if abs(total % 360.0) < 1e-9 else total / (n - 1)
    turns = [math.radians(start + total * i) for i in range(n)]
    points = tuple(_shift(chain, (r * math.cos(t), r * math.sin(t))) for t in turns)
    return replace(chain, points=points)


def _center(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    p = _shift(chain, _xy("x", "y", args, keywords))
    return replace(chain, origin=p, points=(p,), here=p, start=p)


def _workplane(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    if chain.loops or chain.path:
        raise _Unreadable(".workplane() is only read before anything is drawn")
    offset = _number(_bind(args, keywords, offset=0.0)["offset"], "an offset")
    return replace(chain, offset=chain.offset + offset)


def _add(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
    other = _bind(args, keywords, obj=_bind)["obj"]
    if not isinstance(other, _Chain) or other.plane != chain.plane or other.path:
        raise _Unreadable(".add() is only read for closed loops of the same workplane")
    return replace(chain, loops=chain.loops + other.loops)


def _extrude(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Body:
    a = _bind(args, keywords, until=_bind, combine=True, clean=True, both=False)
    d = _number(a["until"], "an extrusion's length")
    _no_path(chain, "extrude")
    if not chain.loops:
        raise _Unreadable(".extrude() has no closed sketch")
    sketch = Sketch(nest(chain.loops), chain.plane)
    if a["both"] is True:
        forward = backward = abs(d)
    else:
        forward, backward = max(d, 0.0), max(-d, 0.0)
    if a["both"] is True and chain.offset == 0:
        return _Body((Extrude(sketch, forward, backward),))
    return _Body((Extrude(sketch, forward + chain.offset, backward - chain.offset),))


def _spline_free(method: Callable[[_Chain, Point], _Chain], x: str, y: str, relative: bool) -> Any:
    def run(chain: _Chain, args: list[Any], keywords: dict[str, Any]) -> _Chain:
        p = _xy(x, y, args, keywords)
        return method(chain, _moved(chain, p) if relative else _shift(chain, p))

    return run


_CHAIN: dict[str, Callable[[_Chain, list[Any], dict[str, Any]], Any]] = {
    "add": _add,
    "center": _center,
    "circle": _circle,
    "close": _close,
    "extrude": _extrude,
    "hLine": lambda c, a, k: _line_to(c, _moved(c, (_one(a, k, "distance"), 0.0))),
    "hLineTo": lambda c, a, k: _line_to(c, (c.origin[0] + _one(a, k, "xCoord"), c.here[1])),
    "line": _spline_free(_line_to, "xDist", "yDist", relative=True),
    "lineTo": _spline_free(_line_to, "x", "y", relative=False),
    "move": _spline_free(_move_to, "xDist", "yDist", relative=True),
    "moveTo": _spline_free(_move_to, "x", "y", relative=False),
    "polarArray": _polar,
    "polygon": _polygon,
    "polyline": _polyline,
    "pushPoints": _push_points,
    "rarray": _rarray,
    "rect": _rect,
    "slot2D": _slot,
    "threePointArc": _arc,
    "vLine": lambda c, a, k: _line_to(c, _moved(c, (0.0, _one(a, k, "distance")))),
    "vLineTo": lambda c, a, k: _line_to(c, (c.here[0], c.origin[1] + _one(a, k, "yCoord"))),
    "workplane": _workplane,
}
