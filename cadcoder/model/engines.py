"""Checkpoints for inference engines: the same weights under the names that vLLM's and older readers look for.

transformers has dropped a level of CLIP's module tree (``vision_model``) and saves a LLaVA without it. It reads both
names; vLLM's LLaVA (read in its version 0.33.0) and transformers before that change know only the old one, and would
stop, or begin with a random vision tower.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError
from cadcoder.model.checkpoint import BANK_FILE, find

_TOWER, _LEVEL = "vision_tower.", "vision_model."
#: Decoders by their ``model_type``, for readers that do not infer it.
_DECODERS = {"llama": "LlamaForCausalLM"}


def engine_name(name: str) -> str:
    """Return the name of a weight as engines look for it."""
    before, tower, after = name.partition(_TOWER)
    return before + tower + _LEVEL + after if tower and not after.startswith(_LEVEL) else name


def make_readable(folder: Path) -> None:
    """Bring a saved LLaVA with a CLIP tower to the names that engines look for; done twice it does nothing.

    Args:
        folder: with ``config.json`` and ``*.safetensors`` as ``save_pretrained`` writes them.
    """
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    text = config["text_config"]
    if not text.get("architectures") and text["model_type"] in _DECODERS:
        text["architectures"] = [_DECODERS[text["model_type"]]]
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if config["vision_config"]["model_type"] != "clip_vision_model":
        return
    for file in sorted(folder.glob("*.safetensors")):
        _rename(file)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        tree = json.loads(index.read_text())
        tree["weight_map"] = {engine_name(k): v for k, v in tree["weight_map"].items()}
        index.write_text(json.dumps(tree, indent=2, sort_keys=True) + "\n")


def _rename(file: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, "pt") as stored:
        names, metadata = list(stored.keys()), stored.metadata()
        if all(engine_name(name) == name for name in names):
            return
        weights = {engine_name(name): stored.get_tensor(name) for name in names}
    aside = file.with_suffix(".tmp")
    save_file(weights, aside, metadata)
    aside.replace(file)


def copy_for_engines(name: str | Path, target: Path) -> Path:
    """Copy a checkpoint, without its bank, to a folder that engines read.

    Args:
        name: folder or name of a checkpoint.
        target: a folder that is not there yet.

    Raises:
        InputError: if there is no such checkpoint, or the folder cannot be made.
    """
    source = find(name)
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(BANK_FILE, "*bank*.npz"))
    except FileExistsError:
        raise InputError(f"{target} is there already; name a folder that is not") from None
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}") from None
    make_readable(target)
    return target


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m cadcoder.model.engines NAME|DIR TARGET")
    try:
        copy_for_engines(sys.argv[1], Path(sys.argv[2]))
    except InputError as fault:
        sys.exit(f"error: {fault}")
