"""Parts made on the spot from a seed, so that they can be in nobody's training data.

They come from the workshop's own command, ``python -m dataset_build.families``, whose seeds are kept out of every set
that the default model was trained on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cadcoder.errors import InputError


def make_synthetic(folder: Path, family: str, count: int, seed: int) -> Path:
    """Write synthetic parts into a folder, unless they are there, and return it.

    Args:
        folder: where; ``samples.jsonl`` is written last.
        family: how they are drawn, a family of :mod:`dataset_build.families`.
        count: how many.
        seed: of the set.

    Raises:
        InputError: if they cannot be made.
    """
    if (folder / "samples.jsonl").is_file():
        return folder
    root = Path(__file__).resolve().parents[2]
    ask = [sys.executable, "-m", "dataset_build.families", "--family", family, "--count", str(count)]
    done = subprocess.run(
        [*ask, "--seed", str(seed), "--out", str(folder.resolve())], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        why = done.stderr.strip().splitlines()
        raise InputError(f"the synthetic parts cannot be made: {why[-1] if why else done.returncode}")
    return folder
