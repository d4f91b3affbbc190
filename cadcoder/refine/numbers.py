"""The numbers of a ``plain`` script as a vector: which there are, which move together, and the text for others."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from cadcoder.errors import InputError

#: Arguments that are counts, angles or flags, not lengths: (call, position).
_NOT_LENGTHS = {
    ("polygon", 0),
    ("rarray", 2),
    ("rarray", 3),
    ("polarArray", 1),
    ("polarArray", 2),
    ("polarArray", 3),
    ("slot2D", 2),
}


@dataclass(frozen=True, slots=True)
class Literal:
    """A number in the text: its characters from ``start`` to ``end``, its value, and whether it is a length."""

    start: int
    end: int
    value: float
    is_length: bool


class Numbers:
    """A script with its lengths taken out.

    Lengths of equal magnitude are one variable: a boss stands on the plate whose thickness is its plane's
    height, and what is symmetric stays so.

    Attributes:
        values: the magnitude of each variable, in order of first appearance.
        members: for each variable, the literals that it writes.
    """

    def __init__(self, code: str, tied: bool = True) -> None:
        """Read the literals.

        Args:
            code: a script.
            tied: whether equal magnitudes are one variable; otherwise each literal is its own.

        Raises:
            InputError: if the text is not Python.
        """
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError) as error:
            raise InputError(f"the script is not valid Python: {error}") from None
        self.code = code
        self._lines = [0]
        for line in code.splitlines(keepends=True):
            # The syntax tree counts bytes; a plain script is ASCII, where they are the characters.
            self._lines.append(self._lines[-1] + len(line))
        self.literals: list[Literal] = []
        self._visit(tree, True)
        self.literals.sort(key=lambda literal: literal.start)
        groups: dict[float | int, list[int]] = {}
        for i, literal in enumerate(self.literals):
            if literal.is_length and literal.value != 0:
                groups.setdefault(round(abs(literal.value), 6) if tied else -1 - i, []).append(i)
        self.members = list(groups.values())
        self.values = [abs(self.literals[m[0]].value) for m in self.members]

    def _visit(self, node: ast.AST, is_length: bool) -> None:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_number(node.operand):
            self._add(node, -float(node.operand.value), is_length)  # type: ignore[attr-defined]
            return
        if _is_number(node):
            self._add(node, float(node.value), is_length)  # type: ignore[attr-defined]
            return
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            self._visit(node.func, is_length)
            for i, argument in enumerate(node.args):
                # The directions of an oblique plane keep their digits.
                turned = name == "Plane" and i > 0
                self._visit(argument, (name, i) not in _NOT_LENGTHS and not turned)
            for keyword in node.keywords:
                self._visit(keyword.value, True)
            return
        for child in ast.iter_child_nodes(node):
            self._visit(child, is_length)

    def _add(self, node: ast.AST, value: float, is_length: bool) -> None:
        start = self._lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        # A spacing of a single row or column says nothing, but it is harmless to move.
        self.literals.append(Literal(start, end, value, is_length))

    def text(self, values: list[float], digits: int = 3) -> str:
        """Return the script with other magnitudes for its variables."""
        written = {}
        for members, value in zip(self.members, values, strict=True):
            for i in members:
                literal = self.literals[i]
                written[i] = value if literal.value > 0 else -value
        pieces, at = [], 0
        for i, literal in enumerate(self.literals):
            if i in written:
                pieces += [self.code[at : literal.start], number(written[i], digits)]
                at = literal.end
        return "".join([*pieces, self.code[at:]])


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def number(value: float, digits: int) -> str:
    """Return the shortest text of a number rounded to so many decimals."""
    value = round(value, digits)
    return str(int(value)) if value == int(value) else repr(value)
