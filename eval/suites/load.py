"""Read a suite: a YAML file that says where pictures and true parts are and what is asked, or a folder of them.

Keys of the YAML: ``about``; ``kind`` (``folder``, ``benches`` or ``synthetic``); ``needs`` (what ``--data`` must
point to, in words); ``expect`` (how many parts there should be); ``turns`` (name of a group of rows: the prompt of
the conversation's second turn); ``measure`` (``iou`` or ``rounded``); ``modality`` (for CADBench's layout);
``family``, ``count`` and ``seed`` of synthetic parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cadcoder.errors import ConfigError, InputError
from eval.prompting import Prompt, read_prompt
from eval.suites.folder import Item, read_benches, read_folder
from eval.suites.made import make_synthetic

HERE = Path(__file__).resolve().parent

#: Keys of a suite's file, with their types and what they are unless given.
KEYS: dict[str, tuple[type, Any]] = {
    "about": (str, ""),
    "kind": (str, "folder"),
    "needs": (str, ""),
    "expect": (int, 0),
    "turns": (dict, {}),
    "measure": (str, "iou"),
    "modality": (str, "image"),
    "family": (str, "gencad"),
    "count": (int, 100),
    "seed": (int, 0),
}
KINDS, MEASURES = ("folder", "benches", "synthetic"), ("iou", "rounded")


@dataclass(frozen=True)
class Suite:
    """What is measured.

    Attributes:
        name: for the report.
        items: the parts.
        about: a line for people.
        measure: ``iou``, or ``rounded``: whether the last turn's script rounds the edges of the first one's part.
        modality: CADBench's word for what is shown.
        turns: prompts of later turns by group of rows.
    """

    name: str
    items: tuple[Item, ...]
    about: str = ""
    measure: str = "iou"
    modality: str = "image"
    turns: Mapping[str, Prompt] | None = None


def names() -> list[str]:
    """Return the names of the suites that are here."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def read_suite(
    name: str,
    data: Path | None = None,
    work: Path | None = None,
    limit: int | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Suite:
    """Return a suite.

    Args:
        name: of a suite, a YAML file, or a folder.
        data: where the suite's files are, for those that come from elsewhere.
        work: where parts that are made on the spot go.
        limit: only so many parts, the first ones.
        changes: values in place of the file's, such as ``count`` and ``seed``.

    Raises:
        ConfigError: if there is no such suite, its file is faulty (all faults at once), or it needs ``--data``.
        InputError: if there are no parts.
    """
    path = HERE / f"{name}.yaml" if name in names() else Path(name)
    if path.suffix == ".yaml":
        tree = _read(path) | dict(changes or {})
        title = path.stem
    elif path.is_dir():
        tree = {key: value for key, (_, value) in KEYS.items()} | dict(changes or {})
        data, title = path, path.resolve().name
    else:
        raise ConfigError(f"there is no suite {name}; there are {', '.join(names())}, or name a folder or a YAML file")
    turns = {str(group): read_prompt(str(prompt)) for group, prompt in tree["turns"].items()}
    if tree["kind"] == "synthetic":
        made = (work or Path()) / f"{tree['family']}-{tree['seed']}-{tree['count']}"
        items = read_folder(make_synthetic(made, tree["family"], tree["count"], tree["seed"]))
    else:
        if data is None:
            raise ConfigError(f"the suite {name} needs --data FOLDER: {tree['needs'] or 'its pictures and true parts'}")
        items = (read_benches if tree["kind"] == "benches" else read_folder)(data)
    if tree["expect"] and len(items) != tree["expect"]:
        raise InputError(f"{data} holds {len(items)} parts, and the suite {name} has {tree['expect']}")
    items = items[:limit] if limit else items
    if turns:
        items = [replace(item, group=group, turns=(group,)) for item in items for group in turns]
    return Suite(title, tuple(items), tree["about"], tree["measure"], tree["modality"], turns)


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a suite: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no keys")
    faults = [f"{key} is no key of a suite" for key in tree if key not in KEYS]
    faults += [f"{k} must be {KEYS[k][0].__name__}" for k in tree if k in KEYS and type(tree[k]) is not KEYS[k][0]]
    full = {key: tree.get(key, value) for key, (_, value) in KEYS.items()}
    faults += [f"kind must be one of {', '.join(KINDS)}"] if full["kind"] not in KINDS else []
    faults += [f"measure must be one of {', '.join(MEASURES)}"] if full["measure"] not in MEASURES else []
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}")
    return full
