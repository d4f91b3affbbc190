"""The builder: runs one untrusted script and hands its solids over as BREP bytes.

From the first line of the script on, nothing in this process can be trusted, this module included: whatever it sends is
only a claim, which the supervisor reads strictly and the judge checks. It never holds a truth to compare with.
"""

from __future__ import annotations

import ast
import errno
import linecache
import sys
import types
from collections.abc import Iterable
from typing import Any

from cadcoder.sandbox.frames import encode

SCRIPT = "<script>"
RESULT_NAMES = ("solid", "result", "r", "part")
_MESSAGE_LENGTH = 300
_REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS)


class NoResult(Exception):
    """The script ran, but left nothing that could be a part."""


def build(code: str, strict_name: str | None) -> bytes:
    """Run a script and describe what it made.

    Args:
        code: The script.
        strict_name: The only variable accepted as the result; None for the usual names.

    Returns:
        A frame: ``status`` is ``built`` (with the part ``brep`` and ``name``), or one of the failing statuses with a
        ``message`` and a ``line``.
    """
    try:
        tree = ast.parse(code, SCRIPT)
        compiled = compile(tree, SCRIPT, "exec")
    except SyntaxError as error:
        return _failure("syntax_error", _describe(error, error.msg), error.lineno)
    except (ValueError, RecursionError) as error:
        return _failure("syntax_error", _describe(error), None)
    except MemoryError:
        return _failure("syntax_error", "too deeply nested to be compiled", None)
    linecache.cache[SCRIPT] = (len(code), None, code.splitlines(keepends=True), SCRIPT)

    shown: list[Any] = []

    def show_object(obj: Any, *_: Any, **__: Any) -> None:
        shown.append(obj)

    module = types.ModuleType("__main__")
    module.__dict__.update({"show_object": show_object, "debug": lambda *_, **__: None})
    sys.modules["__main__"] = module
    try:
        try:
            exec(compiled, module.__dict__)  # the point of it all
        except SystemExit as leaving:
            if leaving.code not in (None, 0):
                raise
        name, value = _choose(module.__dict__, shown, tree, strict_name)
        parts = _solids(value, lenient=strict_name is None)
        from cadcoder.sandbox import shapes

        brep = shapes.write_brep(parts[0] if len(parts) == 1 else shapes.compound(parts))
    except NoResult as error:
        return _failure("no_result", str(error), None)
    except MemoryError as error:
        return _failure("memory", _describe(error, "out of memory"), _line(error))
    except BaseException as error:  # noqa: B036 - a script may raise anything
        return _failure(_status(error), _describe(error), _line(error))
    return encode({"status": "built", "name": name}, {"brep": brep})


def _failure(status: str, message: str, line: int | None) -> bytes:
    return encode({"status": status, "message": message, "line": line})


def _status(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return "denied"
    if "OutOfMemory" in type(error).__name__ or "bad_alloc" in _describe(error):
        return "memory"
    return "exception"


def _describe(error: BaseException, text: str | None = None) -> str:
    try:
        words = str(error) if text is None else text
    except BaseException:  # noqa: B036 - an exception class of the script's own
        words = ""
    line = " ".join(f"{type(error).__name__}: {words}".split())
    return line if len(line) <= _MESSAGE_LENGTH else line[: _MESSAGE_LENGTH - 1] + "…"


def _line(error: BaseException) -> int | None:
    """The last line of the script that the traceback went through."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == SCRIPT:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _assigned(tree: ast.Module) -> list[str]:
    """The names assigned at the top level, loops and conditions included, in the order of their last assignment."""
    names: dict[str, None] = {}

    def targets(node: ast.AST) -> Iterable[str]:
        return (part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))

    def walk(body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
                for name in targets(statement):
                    names.pop(name, None)
                    names[name] = None
            for field in ("body", "orelse", "handlers", "finalbody"):
                if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    children = getattr(statement, field, [])
                    walk(c for child in children for c in (child.body if hasattr(child, "type") else [child]))

    walk(tree.body)
    return list(names)


def _choose(names: dict[str, Any], shown: list[Any], tree: ast.Module, strict_name: str | None) -> tuple[str, Any]:
    """The result and where it was found: what was shown, a usual name, or the last shape assigned."""
    if strict_name is not None:
        if not _is_shape(names.get(strict_name)):
            raise NoResult(f"the script leaves no shape in a variable called {strict_name}")
        return strict_name, names[strict_name]
    shown = [value for value in shown if _is_shape(value)]
    if shown:
        return "show_object", shown[0] if len(shown) == 1 else shown
    for candidates in (lambda: RESULT_NAMES, lambda: reversed(_assigned(tree))):
        for name in candidates():
            if _is_shape(names.get(name)):
                return name, names[name]
    raise NoResult("the script leaves no Workplane, Shape or Assembly in any variable and shows none")


def _is_shape(value: Any) -> bool:
    import cadquery as cq

    if isinstance(value, (list, tuple)):
        return bool(value) and all(_is_shape(item) for item in value)
    return isinstance(value, (cq.Workplane, cq.Shape, cq.Assembly))


def _solids(value: Any, lenient: bool) -> list[Any]:
    """The OpenCascade shapes of a result; a Workplane's own objects, else (when lenient) the solid it was drawn on."""
    import cadquery as cq

    from cadcoder.sandbox import shapes

    if isinstance(value, (list, tuple)):
        return [solid for item in value for solid in _solids(item, lenient)]
    found: list[cq.Shape]
    if isinstance(value, cq.Assembly):
        found = [value.toCompound()]
    elif isinstance(value, cq.Workplane):
        found = [item for item in value.vals() if isinstance(item, cq.Shape)]
        if lenient and not any(shapes.solids_of(item.wrapped) for item in found):
            try:
                found = [value.findSolid()]
            except ValueError:
                pass
    else:
        found = [value]
    wrapped = [item.wrapped for item in found if item is not None and item.wrapped is not None]
    solids = [solid for item in wrapped for solid in shapes.solids_of(item)]
    return solids or wrapped or [shapes.compound([])]
