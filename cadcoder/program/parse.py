"""CadQuery text to Program, by reading its syntax tree: nothing is ever executed.

Reads both dialects that ``emit`` writes, the editable style with named numbers, and the part of everyday
CadQuery that is sketch and extrude. Anything else is an :class:`InputError` that names the line. This file reads
Python; :mod:`cadcoder.program.calls` and :mod:`cadcoder.program.workplane` know what the calls mean.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cadcoder.errors import InputError
from cadcoder.program.bodies import Body, combine
from cadcoder.program.calls import BODY, CHAIN, make_plane, make_vector, make_workplane, number
from cadcoder.program.types import Operation, Program
from cadcoder.program.workplane import Budget, Chain

#: A script longer than this, in characters, is refused before it is read.
MAX_TEXT = 200_000

#: The names under which the executor looks for the part, in its order.
_RESULTS = ("solid", "result", "r", "part")

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
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


_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "math.cos": math.cos,
    "math.degrees": math.degrees,
    "math.radians": math.radians,
    "math.sin": math.sin,
    "math.sqrt": math.sqrt,
    "math.tan": math.tan,
}


def parse(code: str) -> Program:
    """Return the program that a CadQuery script describes.

    The part is what the script shows (``show_object``), else what it calls ``solid``, ``result``, ``r`` or
    ``part``, else the last part assigned: as in the executor.

    Args:
        code: the script's text.

    Raises:
        InputError: if the text is not Python, or uses what a sketch-extrude program cannot say; the message
            names the line.
    """
    if len(code) > MAX_TEXT:
        raise InputError(f"the script has {len(code)} characters; at most {MAX_TEXT} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the script's strings and literals
            tree = ast.parse(code)
    except SyntaxError as error:
        raise InputError(f"line {error.lineno or 1}: the script is not valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the script cannot be read as Python: {str(error) or 'it is nested too deeply'}") from None
    reader = _Reader()
    for statement in tree.body:
        try:
            reader.statement(statement)
        except RecursionError:
            raise InputError(f"line {statement.lineno}: it is nested too deeply") from None
        except (InputError, ArithmeticError) as error:
            raise InputError(f"line {statement.lineno}: {error}") from None
    return Program(reader.part().extrudes)


class _Reader:
    """The names of a script and what they stand for: numbers, texts, tuples, planes, chains, bodies."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.shown: Body | None = None
        self.last: Body | None = None
        self.budget = Budget()

    def part(self) -> Body:
        """Return the part that the script makes."""
        named = (self.names[n] for n in _RESULTS if isinstance(self.names.get(n), Body))
        found = self.shown or next(named, self.last)
        if found is None:
            raise InputError("the script extrudes nothing; a program needs at least one extrude")
        return found

    def statement(self, node: ast.stmt) -> None:
        """Read one statement."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            if any(m not in ("cadquery", "math") for m in modules):
                raise InputError(f"it imports {', '.join(modules):.80}; only cadquery and math are read")
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.assign(node.targets[0], self.value(node.value))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.value(node.value))
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self.assign(node.target, self.binary(node.op, self.name(node.target.id), self.value(node.value)))
        elif isinstance(node, ast.Expr):
            self.expression(node.value)
        else:
            raise InputError(f"a {type(node).__name__} statement is more than a sketch-extrude program can say")

    def assign(self, target: ast.expr, value: Any) -> None:
        """Give a value to a name, or values to several."""
        if isinstance(target, ast.Tuple) and isinstance(value, tuple) and len(value) == len(target.elts):
            for t, v in zip(target.elts, value, strict=True):
                self.assign(t, v)
            return
        if not isinstance(target, ast.Name):
            raise InputError("it assigns to something that is not a name")
        if isinstance(value, Body):
            self.last = value = replace(value, fresh=False)
        self.names[target.id] = value

    def expression(self, node: ast.expr) -> None:
        """Read an expression that stands alone: a docstring, a call of ``show_object``."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "show_object":
            value = self.value(node.args[0]) if node.args else None
            if not isinstance(value, Body):
                raise InputError("show_object() is only read for a part that was extruded")
            if self.shown is not None:
                raise InputError("more than one part is shown; a program is one part")
            self.shown = value
        elif not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            self.value(node)

    def name(self, name: str) -> Any:
        """Return what a name stands for."""
        if name not in self.names:
            raise InputError(f"the name {name!r:.40} is not defined")
        return self.names[name]

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str | bool | None) else number(node.value, "a constant")
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = number(self.value(node.operand), "an operand")
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp):
            return self.binary(node.op, self.value(node.left), self.value(node.right))
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(self.value(e) for e in node.elts)
        if isinstance(node, ast.Attribute) and _dotted(node) == "math.pi":
            return math.pi
        if isinstance(node, ast.Call):
            return self.call(node)
        raise InputError(f"a {type(node).__name__} is more than a sketch-extrude program can say")

    def binary(self, op: ast.operator, a: Any, b: Any) -> Any:
        """Return ``a op b`` of two numbers or two parts."""
        if isinstance(a, Body) and isinstance(b, Body) and type(op) in _BOOLEANS:
            return combine(replace(a, fresh=False), b, _BOOLEANS[type(op)])
        if type(op) not in _ARITHMETIC:
            raise InputError(f"the operator {type(op).__name__} is not read")
        return number(_ARITHMETIC[type(op)](number(a, "an operand"), number(b, "an operand")), "a result")

    def call(self, node: ast.Call) -> Any:
        """Return the value of a chain of calls, or a number of the math module."""
        function = _FUNCTIONS.get(_dotted(node.func) or "")
        if function is not None and len(node.args) == 1 and not node.keywords:
            try:
                return number(function(number(self.value(node.args[0]), "an argument")), "a result")
            except ValueError as error:
                raise InputError(f"{_dotted(node.func)}(): {error}") from None
        # A script is one long chain of calls: walk it with a loop, since a nested one could exhaust the stack.
        links: list[ast.Call] = []
        base: ast.expr = node
        while isinstance(base, ast.Call):
            links.append(base)
            if not isinstance(base.func, ast.Attribute) or _constructor(base.func):
                break
            base = base.func.value
        if isinstance(base, ast.Call):
            links.pop()
            value = self.construct(base)
        else:
            value = self.value(base)
        for link in reversed(links):
            assert isinstance(link.func, ast.Attribute)
            name, (args, keywords) = link.func.attr, self.arguments(link)
            known = CHAIN if isinstance(value, Chain) else BODY if isinstance(value, Body) else None
            if known is None:
                raise InputError(f".{name:.40}() is called on something that is not a Workplane")
            if name not in known:
                raise InputError(f".{name:.40}() is more than a sketch-extrude program can say here")
            value = known[name](value, args, keywords)
        return value

    def arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        """Return a call's arguments, in order and by name."""
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise InputError("starred arguments are not read")
        return [self.value(a) for a in node.args], {str(k.arg): self.value(k.value) for k in node.keywords}

    def construct(self, node: ast.Call) -> Any:
        """Return a new Workplane, Plane or Vector."""
        kind = _constructor(node.func)
        if kind is None:
            raise InputError(f"the call of {_dotted(node.func) or 'this':.40} is not read")
        args, keywords = self.arguments(node)
        if kind == "Vector":
            return make_vector(args, keywords)
        return make_plane(args, keywords) if kind == "Plane" else make_workplane(args, keywords, self.budget)


def _constructor(func: ast.expr) -> str | None:
    name = _dotted(func)
    for known in ("Workplane", "Plane", "Vector"):
        if name in (known, f"cq.{known}", f"cadquery.{known}"):
            return known
    return None


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
