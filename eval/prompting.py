"""Prompts for models that talk, as files: ``prompts/NAME.yaml``.

Keys: ``about`` (a line for people), ``user`` (required), ``system``, ``examples`` (how many retrieved neighbours go
before, each a drawing and its script) with ``example`` (the text asked with each), ``repair`` (sent with the error
when a script fails, ``{error}``) with ``repairs`` (how often), ``look`` (sent with a drawing of the answer) with
``looks``. A prompt's hash is that of the file's bytes, so that any change makes other rows and other cached answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cadcoder.errors import ConfigError

FOLDER = Path(__file__).resolve().parents[1] / "prompts"


@dataclass(frozen=True)
class Prompt:
    """How a model is asked; see the module."""

    name: str
    sha: str
    user: str
    system: str = ""
    about: str = ""
    examples: int = 0
    example: str = ""
    repair: str = ""
    repairs: int = 0
    look: str = ""
    looks: int = 0

    @property
    def calls(self) -> tuple[int, int]:
        """How many calls a part takes: as a rule, and at most."""
        return 1 + self.looks, 1 + self.repairs + self.looks * (1 + self.repairs)


def read_prompt(name: str) -> Prompt:
    """Return a prompt by its name in ``prompts/``, or by the path of a YAML or text file.

    Raises:
        ConfigError: if there is none, or it cannot be read; all faults at once.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".txt") else FOLDER / f"{name}.yaml"
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        there = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yaml")))
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"there is no prompt {name} ({why}); there are {there}, or a path") from None
    sha = hashlib.sha256(data).hexdigest()[:16]
    if path.suffix == ".txt":
        return Prompt(path.stem, sha, text.strip())
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no keys")
    kinds = {n: int if n in ("examples", "repairs", "looks") else str for n in Prompt.__annotations__}
    del kinds["name"], kinds["sha"]
    faults = [f"{key} is no key of a prompt" for key in tree if key not in kinds]
    faults += [
        f"{key} must be {kinds[key].__name__}" for key in tree if key in kinds and type(tree[key]) is not kinds[key]
    ]
    faults += [] if tree.get("user") else ["user is missing"]
    faults += [f"{n} needs {n[:-1]}" for n in ("repairs", "looks", "examples") if tree.get(n) and not tree.get(n[:-1])]
    faults += ["repair needs {error}"] if tree.get("repair") and "{error}" not in str(tree["repair"]) else []
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}")
    values: dict[str, Any] = {k: v.strip() if isinstance(v, str) else v for k, v in tree.items()}
    return Prompt(path.stem, sha, **values)
