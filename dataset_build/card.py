"""The data card of a set: ``README.md`` in its folder, in the form of Hugging Face's dataset cards, with two pictures.

``python -m dataset_build.card SET [--tokenizer FILE]`` writes it again; a build writes it at its end.
``python -m dataset_build.card --sheets [--out docs/images]`` draws a contact sheet of each family of pictures.

The card says nothing of when and where: the same set gives the same bytes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cadcoder.errors import ConfigError
from dataset_build.charts import contact_sheet, histogram
from dataset_build.command import told
from dataset_build.shards import write_whole

#: Pictures on the contact sheet.
SHOWN = 12
#: What is known of the licences, by the beginning of ``source``; what a set holds of others is for its builder to say.
LICENCES = {
    "synthetic": ("apache-2.0", "drawn by the project's own synthesiser: Apache-2.0"),
    "deepcad": (
        "other",
        "DeepCAD (Wu et al., 2021): public Onshape documents, under Onshape's terms of use; as it comes with Text2CAD,"
        " CC BY-NC-SA 4.0",
    ),
    "fusion360": (
        "other",
        "Fusion 360 Gallery (Willis et al., 2021): Autodesk's licence, non-commercial research only",
    ),
    "gencad-code": ("apache-2.0", "GenCAD-Code (Doris et al., 2025): Apache-2.0; its parts are DeepCAD's"),
    "scripts": ("other", "scripts of a folder: say here under what licence they are"),
}
#: What each way to verify means.
_PROOFS = {
    "fast": " Every script was read back, and its solid compared with the part's.",
    "executor": " Every script was executed, and its solid compared with the part's.",
    "none": " The scripts were not verified.",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))


@dataclass
class Figures:
    """What is counted over a set.

    Attributes:
        tokens: scripts by their number of tokens, by the tokenizer. (Counts, for a set may hold millions.)
        characters: scripts by their number of characters.
        sources: samples by the beginning of ``source``.
        counts: how often each number of extrudes, curves, loops and profiles a part occurs.
        operations: extrudes by operation.
        pictures: the first few as files.
    """

    tokens: Counter[int] = field(default_factory=Counter)
    characters: Counter[int] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Counter[int]] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)
    pictures: list[bytes] = field(default_factory=list)


def measure(folder: Path, tokenizer: Path | None = None) -> Figures:
    """Count over the shards of a set.

    Args:
        folder: of the set.
        tokenizer: a ``tokenizer.json``; None is the default model's.

    Raises:
        ConfigError: if the tokenizer cannot be read.
    """
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    try:
        if tokenizer is None:
            text = resources.files("cadcoder.model").joinpath("default/tokenizer.json").read_text(encoding="utf-8")
            words = Tokenizer.from_str(text)
        else:
            words = Tokenizer.from_file(str(tokenizer))
    except Exception as e:  # the library raises nothing narrower
        raise ConfigError(f"--tokenizer: {tokenizer or 'the default one'} cannot be read as a tokenizer.json") from e
    words.no_padding()
    words.no_truncation()
    found = Figures(counts={name: Counter() for name in ("extrudes", "profiles", "loops", "curves")})
    for path in sorted((folder / "data").glob("*.parquet")):
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(500, columns=["code", "program", "source"]):
            code, programs, sources = (batch.column(k).to_pylist() for k in range(3))
            found.tokens.update(len(e.ids) for e in words.encode_batch(code, add_special_tokens=False))
            found.characters.update(map(len, code))
            found.sources.update(s.partition("/")[0] for s in sources)
            for program in programs:
                _count(json.loads(program) if program else {}, found)
        if "image" in file.schema_arrow.names and len(found.pictures) < SHOWN and file.num_row_groups:
            rows = file.read_row_group(0, columns=["image"]).column(0).slice(0, SHOWN - len(found.pictures))
            found.pictures += [r["bytes"] for r in rows.to_pylist()]
    return found


def _count(program: Mapping[str, Any], found: Figures) -> None:
    extrudes = program.get("extrudes", [])
    profiles = [p for e in extrudes for p in e.get("profiles", [])]
    loops = [loop for p in profiles for loop in p]
    totals = (len(extrudes), len(profiles), len(loops), sum(len(loop) for loop in loops))
    for counter, n in zip(found.counts.values(), totals, strict=True):
        counter[n] += 1
    found.operations.update(str(e.get("op", "new")) for e in extrudes)


def write_card(folder: Path, meta: Mapping[str, Any], tokenizer: Path | None = None) -> None:
    """Write a finished set's ``README.md`` and the pictures in ``card/``.

    Args:
        folder: of the set.
        meta: its ``meta.json``, with samples, shards and rejects.
        tokenizer: for the histogram; None is the default model's.
    """
    from PIL import Image

    found = measure(folder, tokenizer)
    name = "the default model's tokenizer" if tokenizer is None else tokenizer.name
    title = f"Tokens a script ({name}), {found.tokens.total()} scripts"
    histogram(values_of(found.tokens), folder / "card" / "tokens.png", title, "tokens")
    if found.pictures:
        opened = [Image.open(io.BytesIO(data)) for data in found.pictures]
        contact_sheet(opened, folder / "card" / "pictures.png")
    leaks = folder / "leaks.json"
    kept_out = json.loads(leaks.read_text(encoding="utf-8")) if leaks.exists() else None
    write_whole(folder / "README.md", _text(meta, found, name, kept_out).encode())


def _licence(source: str) -> tuple[str, str]:
    return next((v for k, v in LICENCES.items() if source.startswith(k)), ("other", "not known"))


def _text(meta: Mapping[str, Any], found: Figures, tokenizer: str, kept_out: Mapping[str, Any] | None) -> str:
    """Return the card."""
    plan, samples = meta["plan"], int(meta["samples"])
    licences = {_licence(s)[0] for s in found.sources} or {"other"}
    head = {
        "license": licences.pop() if len(licences) == 1 else "other",
        "task_categories": ["image-to-text"],
        "tags": ["cad", "cadquery", "code"],
        "size_categories": [next((name for n, name in _SIZES if samples < n), "n>10M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    import yaml

    lines = ["---", yaml.safe_dump(head, sort_keys=False).rstrip(), "---", ""]
    lines += ["# CadQuery scripts and pictures", ""]
    rejected = sum(meta["rejects"].values())
    proof = _PROOFS.get(str(plan.get("verify")), "")
    lines.append(
        f"{samples} samples in {len(meta['shards'])} shards. Inputs that became no sample: {rejected}, each with its"
        f" reason in `rejects.parquet`.{proof}"
    )
    lines += ["", "```python", 'datasets.load_dataset("parquet", data_dir="THIS FOLDER", split="train")', "```", ""]
    if found.pictures:
        lines += ["![First samples](card/pictures.png)", ""]
    lines += ["## Sources and licences", "", "| source | samples | licence |", "|---|---:|---|"]
    lines += [f"| {s} | {n} | {_licence(s)[1]} |" for s, n in sorted(found.sources.items())]
    lines += ["", "## Length of the scripts", "", "![Tokens a script](card/tokens.png)", ""]
    lines += ["| | mean | median | 95 % | longest |", "|---|---:|---:|---:|---:|"]
    lines += [_spread(f"tokens ({tokenizer})", found.tokens), _spread("characters", found.characters), ""]
    lines += ["## Complexity", "", "| a part | 1 | 2 | 3 | 4 to 5 | 6 to 10 | more | mean |", "|---|" + "---:|" * 7]
    lines += [_shares(name, counter) for name, counter in found.counts.items()]
    operations = ", ".join(f"{n} {op}" for op, n in sorted(found.operations.items()))
    lines += ["", f"Extrudes by operation: {operations or 'none'}.", ""]
    lines += ["## Inputs that became no sample", ""]
    if rejected:
        lines += ["| reason | inputs |", "|---|---:|", *(f"| {r} | {n} |" for r, n in meta["rejects"].items())]
    else:
        lines.append("None.")
    if kept_out is not None:
        counts = kept_out["counts"]
        lines += ["", "## Leaks and duplicates", ""]
        lines.append(
            f"Kept out (`leaks.json` names each): {counts['held_out']} that look like one of"
            f" {kept_out['held_out_parts']} held-out parts (IoU {kept_out['alike']} or more in the best pose),"
            f" {counts['duplicate']} duplicates, {counts['other_split']} of other splits."
        )
        if kept_out["unreadable"]:
            lines.append(f"Not compared, for they cannot be read: {', '.join(kept_out['unreadable'])}.")
    lines += ["", "## How it was made", "", "```json", json.dumps(plan, indent=1, sort_keys=True), "```", ""]
    lines.append(f"By cadcoder's `dataset_build`, commit {meta['git_commit']}; versions are in `meta.json`.")
    return "\n".join(lines) + "\n"


def values_of(counter: Counter[int]) -> npt.NDArray[np.int64]:
    """Return the values that were counted, ascending."""
    keys = np.array(sorted(counter), dtype=np.int64)
    return np.repeat(keys, np.array([counter[int(k)] for k in keys], dtype=np.int64))


def _spread(name: str, counter: Counter[int]) -> str:
    values = values_of(counter)
    if not len(values):
        return f"| {name} | - | - | - | - |"
    mean, middle, high = np.mean(values), np.median(values), np.quantile(values, 0.95)
    return f"| {name} | {mean:.1f} | {middle:.0f} | {high:.0f} | {values[-1]} |"


def _shares(name: str, counter: Counter[int]) -> str:
    total = max(sum(counter.values()), 1)
    bands = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 10**9))
    cells = [f"{100 * sum(n for k, n in counter.items() if a <= k <= b) / total:.1f} %" for a, b in bands]
    mean = sum(k * n for k, n in counter.items()) / total
    return f"| {name} | {' | '.join(cells)} | {mean:.2f} |"


def write_sheets(out: Path) -> list[Path]:
    """Draw a contact sheet of each family of pictures, of parts of the synthesiser; return the files."""
    from PIL import Image

    from dataset_build.pictures import draw
    from dataset_build.synth import sample_solid
    from dataset_build.wish import FAMILIES, MAPS, Wish

    drawn = (sample_solid(seed) for seed in range(20, 10_000))
    # Parts that show something: several features, neither a sheet nor a rod.
    rich = (s for p, s in drawn if len(p.extrudes) > 2 and s.extents.min() > 0.2 * s.extents.max())
    solids = list(itertools.islice(rich, 12))
    paths = []
    for family in FAMILIES:
        parts = {"gencad5": 2, "cadbench": 2}.get(family, 12)
        found = [draw(s, Wish((family,)), k) for k, s in enumerate(solids[:parts])]
        files = [data for f in found for data in (f.image, *f.images)]
        across = {"gencad5": 5, "cadbench": 9}.get(family, 6)
        paths.append(out / f"family_{family}.png")
        side = {"cadbench": 110, "photo": 200}.get(family, 150)
        contact_sheet([Image.open(io.BytesIO(f)) for f in files], paths[-1], across, side)
    shots = [draw(s, Wish(("photo",), tuple(MAPS)), k) for k, s in enumerate(solids[:3])]
    rows = [data for f in shots for data in (f.image, *(f.maps[MAPS[m]] for m in MAPS))]
    paths.append(out / "family_maps.png")
    contact_sheet([_grey(Image.open(io.BytesIO(f))) for f in rows], paths[-1], 4, 150)
    return paths


def _grey(picture: Any) -> Any:
    """Return a 16-bit depth map as a picture that can be looked at: its own range from dark to light."""
    from PIL import Image

    if picture.mode not in ("I;16", "I"):
        return picture
    levels = np.asarray(picture).astype(np.float64)
    seen = levels > 0
    low, high = (levels[seen].min(), levels[seen].max()) if seen.any() else (0, 1)
    return Image.fromarray((seen * (60 + 195 * (levels - low) / max(high - low, 1))).clip(0, 255).astype(np.uint8))


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dataset_build.card", description=description)
    parser.add_argument("set", type=Path, nargs="?", help="folder of a finished set")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json for the histogram (the default model's)")
    parser.add_argument("--sheets", action="store_true", help="draw a contact sheet of each family instead")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the sheets (docs/images)")
    a = parser.parse_args(argv)
    if a.sheets == (a.set is not None):
        raise ConfigError("name the folder of a set, or say --sheets")
    if a.sheets:
        for path in write_sheets(a.out):
            sys.stdout.write(f"{path}\n")
        return 0
    path = a.set / "meta.json"
    if not path.is_file():
        raise ConfigError(f"{a.set} is not a set that was built here; name the folder that holds meta.json")
    meta = json.loads(path.read_text(encoding="utf-8"))
    if not meta.get("complete"):
        raise ConfigError(f"{a.set} is not finished; give its build command again")
    write_card(a.set, meta, a.tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
