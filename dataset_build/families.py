"""Fresh synthetic parts drawn as one family of pictures shows them, with the true solids beside them.

``python -m dataset_build.families --family photo --count 1000 --out data/photo``

Writes ``samples.jsonl`` (rows with ``id``, ``image`` or ``images``, ``step``, ``family``, ``seed``), the layout that
:mod:`eval.pictures` measures. The same seed gives the same parts in every family, so that what a family costs is seen
part by part.

``photo`` is a part before a plain background, ``table`` a photograph on a table as sets have them (``--pictures photo``
of :mod:`dataset_build.build`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cadcoder.errors import ConfigError
from cadcoder.geometry.solid import Solid
from cadcoder.render.camera import CAMERAS, GENCAD, random_camera
from cadcoder.render.gencad import render_gencad, render_view
from cadcoder.render.photo import photo
from cadcoder.render.sketch import sketch
from cadcoder.render.staged import shoot
from cadcoder.render.window import Image
from dataset_build.command import told
from dataset_build.pictures import LINES

Rng = np.random.Generator
#: Seeds from here on are kept out of every set that is trained on.
FIRST_SEED = 900_000_000
SIZE = 448


def _corner(solid: Solid, rng: Rng) -> Image:
    """Draw from one of the seven other corners."""
    others = [c for name, c in CAMERAS.items() if name.startswith("corner") and c.direction != GENCAD.direction]
    return render_view(solid, others[int(rng.integers(len(others)))])


def _any(solid: Solid, rng: Rng) -> Image:
    """Draw from any direction, without perspective."""
    return render_view(solid, random_camera(rng, perspective=False))


def _lines(solid: Solid, rng: Rng) -> Image:
    """Draw black lines on white, from the paper's corner."""
    return render_view(solid, GENCAD, LINES)


#: How each family draws one picture of a solid; new ones go last, as the place in here is part of the seed.
FAMILIES: dict[str, Callable[[Solid, Rng], Image]] = {
    "gencad": lambda solid, rng: render_gencad(solid),
    "corner": _corner,
    "any": _any,
    "photo": lambda solid, rng: photo(solid, rng, size=SIZE),
    "lines": _lines,
    "sketch": lambda solid, rng: sketch(solid, rng, size=SIZE),
    "table": lambda solid, rng: shoot(solid, rng, size=SIZE).image,
}
#: Families of several pictures of one part: the family of each picture and how many there are.
SEVERAL = {"any2": ("any", 2), "any4": ("any", 4), "photo2": ("photo", 2), "photo4": ("photo", 4)}


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset_build.families", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--family", required=True, choices=[*FAMILIES, *SEVERAL])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the set: part i has seed FIRST_SEED + seed * 10^6 + i")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args(argv)
    write(args.family, args.count, args.seed, args.out)
    return 0


def write(family: str, count: int, seed: int, out: Path) -> None:
    """Write the pictures and solids of a family; a folder that is complete is left alone.

    Raises:
        ConfigError: if the values are impossible.
    """
    from PIL import Image as Pillow

    from dataset_build.synth import sample_solid

    if not 1 <= count <= 10**6 or not 0 <= seed < 10**3:
        raise ConfigError(f"--count must be from 1 to 10^6 and --seed from 0 to 999, not {count} and {seed}")
    kind, several = SEVERAL.get(family, (family, 1))
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        number = FIRST_SEED + seed * 10**6 + i
        program, solid = sample_solid(number)
        rng = np.random.default_rng([number, list(FAMILIES).index(kind)])
        names = [f"{i:06d}.png" if several == 1 else f"{i:06d}-{k}.png" for k in range(several)]
        for name in names:
            Pillow.fromarray(FAMILIES[kind](solid, rng)).save(out / name)
        (out / f"{i:06d}.stl").write_bytes(_stl(solid))
        picture = {"image": names[0]} if several == 1 else {"images": names}
        rows.append({"id": f"{i:06d}", **picture, "step": f"{i:06d}.stl", "family": family, "seed": number})
    (out / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _stl(solid: Solid) -> bytes:
    """Return a solid as binary STL."""
    corners = solid.vertices[solid.faces].astype("<f4")
    record = np.zeros(len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = corners
    return b"\0" * 80 + np.uint32(len(corners)).tobytes() + record.tobytes()


if __name__ == "__main__":
    sys.exit(main())
