"""YAML trees into typed dataclasses, with dotted overrides; every fault is collected with its key."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from cadcoder.errors import ConfigError


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return a recipe file as a mapping.

    Raises:
        ConfigError: if it cannot be read or is no mapping.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text()) or {}
    except OSError as error:
        raise ConfigError(f"the recipe {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"the recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"the recipe {path} must be a mapping of keys to values")
    return tree


def override(tree: dict[str, Any], item: str, faults: list[str]) -> None:
    """Set ``key=value`` with a dotted key; the value is YAML."""
    key, eq, text = item.partition("=")
    if not eq or not key:
        faults.append(f"override {item!r}: write it as key=value")
        return
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        faults.append(f"{key}: the value {text!r} is not YAML")
        return
    *parents, last = key.split(".")
    node: Any = tree
    for name in parents:
        if node.get(name) is None:
            node[name] = {}
        node = node[name]
        if not isinstance(node, dict):
            faults.append(f"{key}: {name} is a value, not a section")
            return
    node[last] = value


def build(kind: Any, tree: dict[str, Any], prefix: str, faults: list[str]) -> Any:
    """Return a dataclass with the values of a mapping; what does not fit is left at its default and told."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if key not in hints:
            faults.append(f"{name}: unknown key; known here: {', '.join(hints)}")
            continue
        options = _options(hints[key])
        sections = [o for o in options if dataclasses.is_dataclass(o)]
        if not sections:
            before = len(faults)
            cast = _cast(hints[key], value, name, faults)
            if len(faults) == before:
                values[key] = cast
        elif value is None and type(None) in options:
            values[key] = None
        elif isinstance(value, dict):
            values[key] = build(sections[0], value, f"{name}.", faults)
        else:
            faults.append(f"{name}: must be a section, not {value!r}")
    return kind(**values)


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _cast(hint: Any, value: Any, name: str, faults: list[str]) -> Any:
    options = _options(hint)
    if value is None and type(None) in options:
        return None
    (wanted,) = [o for o in options if o is not type(None)]
    items = typing.get_args(wanted)
    wanted = typing.get_origin(wanted) or wanted
    if wanted is float and isinstance(value, str):
        try:  # YAML 1.1 reads 1e-3 as text
            return float(value)
        except ValueError:
            pass
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        faults.append(f"{name}: must be {wanted.__name__}, not {value!r}")
    elif wanted is list and not all(type(v) is items[0] for v in value):
        faults.append(f"{name}: must be a list of {items[0].__name__}, not {value!r}")
    return value
