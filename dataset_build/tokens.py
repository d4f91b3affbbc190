"""How long scripts are: tokens of the short dialects against the published form, on the same parts.

``python -m dataset_build.tokens --a deepcad:DIR --a scripts:FILE --a synthetic:1000 [--tokenizer PATH]`` prints one
table a set, as Markdown or (``--json``) as JSON. Sets are named as in :mod:`dataset_build.statistics`:
``deepcad:DIR`` (``DIR/cad_json``), ``deepcad-vec:DIR`` (``DIR/cad_vec``), ``scripts:FILE`` (JSON Lines whose field
``code`` is a script in the published form), ``synthetic:N`` or ``synthetic:N:SEED``; and ``set:DIR`` is a set that was
built here, of which ``code`` is counted as it is.

Of each part there are these texts: ``published``, the source's numbers in the ``gencad`` dialect (of scripts, the
script itself); ``gencad``, the numbers of ``plain`` in that dialect; and ``plain`` and ``short``, what a build writes.
The solids of ``published`` and ``plain`` are compared by boolean, and the least IoU is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

from cadcoder.errors import CadCoderError, ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.program import Program, centered, compact, emit, merge_new_bodies, parse, scaled
from cadcoder.program.compact import merged
from cadcoder.program.serialize import from_json
from dataset_build.command import told
from dataset_build.grid import LONGEST, snapped
from dataset_build.readers.rejects import Refused, Reject
from dataset_build.regions import joined, united
from dataset_build.verify import FAITHFUL

#: The texts of a part, as the columns of the table; the first is what the others are compared with.
FORMS = ("published", "gencad", "plain", "short")

Counter = Callable[[Sequence[str]], list[int]]


@dataclass
class Lengths:
    """Lengths of the texts of a set: unit -> form -> one number a part.

    Attributes:
        parts: number of parts.
        failed: parts that no script can be written for.
        iou: least intersection over union of ``published`` and ``plain``.
        below: parts in which it is under :data:`dataset_build.verify.FAITHFUL`.
        counts: the lengths.
    """

    parts: int = 0
    failed: int = 0
    iou: float = 1.0
    below: int = 0
    counts: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for every unit and form: medians, and what the form is of the published one."""
        for unit, forms in self.counts.items():
            base = forms[FORMS[0]]
            for form, lengths in forms.items():
                yield {
                    "unit": unit,
                    "form": form,
                    "median": median(lengths),
                    "mean": round(sum(lengths) / len(lengths), 1),
                    "of published, medians": round(median(lengths) / median(base), 4),
                    "of published, median a part": round(median(n / b for n, b in zip(lengths, base, strict=True)), 4),
                }


def measure(programs: Iterator[Texts], counters: dict[str, Counter]) -> Lengths:
    """Count the texts of a set.

    Args:
        programs: the texts of each part; None for a part without.
        counters: unit -> what counts it.
    """
    found = Lengths()
    texts: dict[str, list[str]] = {form: [] for form in FORMS}
    for part in programs:
        if part is None:
            found.failed += 1
            continue
        found.parts += 1
        found.iou = min(found.iou, part[1])
        found.below += part[1] < FAITHFUL
        for form in FORMS:
            texts[form].append(part[0][form])
    if not found.parts:
        raise ConfigError("the set holds no part that a script can be written for")
    for unit, count in counters.items():
        for form in FORMS:
            found.counts[unit][form] = count(texts[form])
    return found


#: The texts of a part by form, and the IoU of its published and its plain form; None where it has no script.
Texts = tuple[dict[str, str], float] | None


def texts_of(spec: str) -> Iterator[Texts]:
    """Yield the texts of the parts of a set that is named as on the command line.

    Raises:
        ConfigError: if the name is not of a known form or the folder holds no such files.
    """
    kind, _, rest = spec.partition(":")
    if kind in ("deepcad", "deepcad-vec") and rest:
        from dataset_build.statistics import deepcad_of

        for found in deepcad_of(kind, Path(rest)):
            yield None if isinstance(found, Reject) else _real(found)
    elif kind == "scripts" and rest:
        from dataset_build.statistics import codes_of

        for code in codes_of(Path(rest)):
            yield _of_code(code)
    elif kind == "synthetic" and rest:
        from dataset_build.statistics import programs_of

        yield from map(_drawn, programs_of(spec))
    elif kind == "set" and rest:
        yield from _built(Path(rest))
    else:
        raise ConfigError(f"a set is deepcad:DIR, deepcad-vec:DIR, scripts:FILE, synthetic:N or set:DIR, not {spec!r}")


def _of_code(code: str) -> Texts:
    try:
        return _real(parse(code), code)
    except InputError:
        return None


def _real(program: Program, code: str = "") -> Texts:
    """Return the texts of a part in its source's unit, the published one as it is given or as it would be."""
    try:
        solid = build(program)
        again, built, plain = snapped(program, solid)
        # Laid over each other as they were when the grid was chosen.
        factor = LONGEST / float(solid.extents.max())
        published = code or emit(merge_new_bodies(program), "gencad")
        theirs = build(parse(published)).scaled(factor)
        moved = build(merged(centered(joined(united(scaled(program, factor))))))
        iou = theirs.translated(moved.bounds[0] - theirs.bounds[0]).iou(built)
    except (CadCoderError, Refused):
        return None
    return _texts(again, published, plain), iou


def _drawn(program: Program, plain: str = "") -> Texts:
    """Return the texts of a part that is in the set's unit already."""
    published = emit(merge_new_bodies(program), "gencad")
    plain = plain or emit(program, "plain")
    return _texts(program, published, plain), build(parse(published)).iou(build(parse(plain)))


def _texts(program: Program, published: str, plain: str) -> dict[str, str]:
    same = emit(merge_new_bodies(program), "gencad")
    return dict(zip(FORMS, (published, same, plain, emit(compact(program), "short")), strict=True))


def _built(folder: Path) -> Iterator[Texts]:
    """Yield the texts of a set that was built here; scripts that are no program have none."""
    import pyarrow.parquet as pq

    files = sorted((folder / "data").glob("*.parquet"))
    if not files:
        raise ConfigError(f"there is no data/*.parquet in {folder}")
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(500, columns=["code", "program"]):
            for row in batch.to_pylist():
                yield _drawn(from_json(json.loads(row["program"])), row["code"]) if row["program"] else None


def counter(path: str | None) -> Counter:
    """Return what counts the tokens of texts.

    Args:
        path: a ``tokenizer.json``, the folder of a tokenizer or model that transformers can load, or None for the
            default model's.

    Raises:
        ConfigError: if it is none of them.
    """
    from tokenizers import Tokenizer

    place = Path(path) if path is not None else None
    try:
        if place is None:
            text = resources.files("cadcoder.model").joinpath("default/tokenizer.json").read_text(encoding="utf-8")
            words = Tokenizer.from_str(text)
        elif place.is_dir() and not (place / "tokenizer.json").exists():
            from transformers import AutoTokenizer

            other = AutoTokenizer.from_pretrained(str(place), local_files_only=True)
            return lambda texts: [len(other(t, add_special_tokens=False)["input_ids"]) for t in texts]
        else:
            words = Tokenizer.from_file(str(place / "tokenizer.json" if place.is_dir() else place))
    except Exception as e:  # the libraries raise nothing narrower
        raise ConfigError(f"--tokenizer: {path or 'the default one'} cannot be read as a tokenizer") from e
    words.no_padding()
    words.no_truncation()
    return lambda texts: [len(e.ids) for e in words.encode_batch(list(texts), add_special_tokens=False)]


def markdown(spec: str, found: Lengths) -> str:
    """Return the table of a set."""
    told = f"{found.parts} parts, {found.failed} without a script"
    lines = [f"`{spec}`: {told}, IoU at least {found.iou:.5f} ({found.below} under {FAITHFUL})", ""]
    lines += [f"| | {' | '.join(FORMS)} |", "|---|" + "---|" * len(FORMS)]
    rows = list(found.rows())
    for unit in found.counts:
        of = {r["form"]: r for r in rows if r["unit"] == unit}
        medians = [format(of[form]["median"], "g") for form in FORMS]
        lines.append(f"| {unit}, median | {' | '.join(medians)} |")
        for name in ("of published, medians", "of published, median a part"):
            shares = [f"{100 * of[form][name]:.1f} %" for form in FORMS]
            lines.append(f"| {unit}, {name} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dataset_build.tokens", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--a", action="append", required=True, metavar="SET", help="deepcad:DIR, synthetic:N, ...")
    parser.add_argument("--tokenizer", action="append", default=[], help="a further tokenizer: its file or folder")
    parser.add_argument("--json", action="store_true", help="JSON in the place of Markdown")
    args = parser.parse_args(argv)
    counters = {"tokens": counter(None)} | {f"tokens of {Path(p).name}": counter(p) for p in args.tokenizer}
    counters["characters"] = lambda texts: [len(t) for t in texts]
    found = {spec: measure(texts_of(spec), counters) for spec in args.a}
    if args.json:
        out = [
            {
                "set": s,
                "parts": f.parts,
                "failed": f.failed,
                "least iou": f.iou,
                "below": f.below,
                "rows": list(f.rows()),
            }
            for s, f in found.items()
        ]
        sys.stdout.write(json.dumps(out, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(markdown(s, f) for s, f in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
