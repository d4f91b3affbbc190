"""Two sets of parts side by side: their counts, their proportions, and what differs most.

``python -m dataset_build.statistics --a deepcad:DIR --b synthetic:1000`` prints one table. A set is
``deepcad:DIR`` (``DIR/cad_json``), ``deepcad-vec:DIR`` (``DIR/cad_vec``), ``scripts:FILE`` (JSON Lines whose
field ``code`` is a script), ``synthetic:N`` or ``synthetic:N:SEED``. All lengths are relative to the longest side of
the part's box. ``--tests`` prints all two-sample tests instead, in Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cadcoder.errors import ConfigError
from cadcoder.program import Program, parse
from dataset_build.command import told
from dataset_build.measures import Statistics, measure
from dataset_build.readers.rejects import Reject
from dataset_build.regions import joined, united

__all__ = ["Statistics", "differences", "measure", "programs_of", "table", "tests"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def table(a: Statistics, b: Statistics | None = None, names: tuple[str, str] = ("a", "b")) -> str:
    """Return the measures of one set, or of two side by side, as text."""
    sets = [a] if b is None else [a, b]
    width = 46
    lines = [f"{'':{width}}" + "".join(f"{n:>24.24}" for n in names[: len(sets)])]
    lines.append(
        f"{'parts (and programs that do not build)':{width}}"
        + "".join(f"{f'{s.parts} ({s.failed})':>24}" for s in sets)
    )
    for name in sorted({k for s in sets for k in s.counts}):
        totals = [sum(s.counts[name].values()) for s in sets]
        lines.append(f"\n{name:{width}}" + "".join(f"{f'n = {t}':>24}" for t in totals))
        order = Counter[str]()
        for s in sets:
            for value in s.counts[name]:
                order[value] += s.share(name, value)  # type: ignore[assignment]
        values = sorted(order, key=lambda v: (not v[0].isdigit(), int(v.rstrip("+")) if v[0].isdigit() else -order[v]))
        for value in values[:20]:
            lines.append(f"  {value:{width - 2}}" + "".join(f"{100 * s.share(name, value):>23.1f}%" for s in sets))
    lines.append(f"\n{'quantiles 5 % 25 % 50 % 75 % 95 %':{width}}")
    for name in sorted({k for s in sets for k in s.samples}):
        for s, label in zip(sets, names, strict=False):
            numbers = " ".join(f"{s.quantile(name, q):8.3f}" for q in QUANTILES)
            lines.append(f"  {name + ' [' + label + ']':{width}.{width}}{numbers}   n = {len(s.samples[name])}")
    if b is not None:
        lines.append(f"\n{'largest differences':{width}}{'distance':>12}{'p':>12}")
        lines += [f"  {name:{width - 2}}{d:>12.3f}{p:>12.2g}" for name, d, p in differences(a, b)[:15]]
    return "\n".join(lines)


def differences(a: Statistics, b: Statistics) -> list[tuple[str, float, float]]:
    """Return (name, distance, p) of every table and quantity that both sets have, least likely chance first.

    Quantities: the two-sample Kolmogorov-Smirnov test. Tables: total variation, and the chi-squared test of
    homogeneity over the values that have five cases or more in both sets together.
    """
    from scipy.stats import chi2_contingency, ks_2samp

    out = []
    for name in sorted(a.samples.keys() & b.samples.keys()):
        if min(len(a.samples[name]), len(b.samples[name])) > 4:
            test = ks_2samp(a.samples[name], b.samples[name])
            out.append((name, float(test.statistic), float(test.pvalue)))
    for name in sorted(a.counts.keys() & b.counts.keys()):
        values = sorted({*a.counts[name], *b.counts[name]})
        distance = sum(abs(a.share(name, v) - b.share(name, v)) for v in values) / 2
        common = [v for v in values if a.counts[name][v] + b.counts[name][v] >= 5]
        rows = np.array([[s.counts[name][v] for v in common] for s in (a, b)])
        if len(common) > 1 and rows.sum(axis=1).min() > 4:
            out.append((name, distance, float(chi2_contingency(rows).pvalue)))
    return sorted(out, key=lambda row: (row[2], -row[1]))


def tests(a: Statistics, b: Statistics, names: tuple[str, str] = ("a", "b")) -> str:
    """Return every two-sample test of :func:`differences` in Markdown, with p corrected for their number.

    ``Holm`` is p by Holm's step-down procedure (1979): below 0.05 a difference is one that the number of tests does not
    explain. Values of one part (its circles, say) count as independent, so p is too small rather than too large.
    """
    found = differences(a, b)
    lines = [
        f"| measure | {names[0]}, n | {names[1]}, n | test | distance | p | Holm |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    held = 0.0
    for k, (name, distance, p) in enumerate(found):
        held = max(held, min(1.0, (len(found) - k) * p))
        kind = "Kolmogorov-Smirnov" if name in a.samples else "chi-squared"
        sizes = [len(s.samples[name]) if name in a.samples else sum(s.counts[name].values()) for s in (a, b)]
        lines.append(f"| {name} | {sizes[0]} | {sizes[1]} | {kind} | {distance:.3f} | {p:.2g} | {held:.2g} |")
    return "\n".join(lines)


def programs_of(spec: str) -> Iterator[Program]:
    """Yield the programs of a set named as on the command line.

    Raises:
        ConfigError: if the name is not of a known form or the folder holds no such files.
    """
    kind, _, rest = spec.partition(":")
    if kind in ("deepcad", "deepcad-vec") and rest:
        for found in deepcad_of(kind, Path(rest)):
            if not isinstance(found, Reject):
                yield joined(united(found))
    elif kind == "scripts" and rest:
        for code in codes_of(Path(rest)):
            yield joined(united(parse(code)))
    elif kind == "synthetic" and rest:
        from dataset_build.synth import sample

        count, _, seed = rest.partition(":")
        if not count.isdigit() or not (seed or "0").isdigit():
            raise ConfigError(f"synthetic:N or synthetic:N:SEED with whole numbers, not {spec}")
        for i in range(int(count)):
            yield sample(int(seed or 0) + i)
    else:
        raise ConfigError(f"a set is deepcad:DIR, deepcad-vec:DIR, scripts:FILE or synthetic:N, not {spec!r}")


def deepcad_of(kind: str, data: Path) -> Iterator[Program | Reject]:
    """Yield the parts of DeepCAD's files, in the order of their names.

    Args:
        kind: ``deepcad`` (``cad_json``) or ``deepcad-vec`` (``cad_vec``).
        data: the folder that holds these.

    Raises:
        ConfigError: if it holds no such files.
    """
    from dataset_build.readers import deepcad_json, deepcad_vec

    folder, pattern = ("cad_json", "*.json") if kind == "deepcad" else ("cad_vec", "*.h5")
    files = sorted((data / folder).rglob(pattern))
    if not files:
        raise ConfigError(f"there is no {folder}/**/{pattern} in {data}")
    for path in files:
        yield deepcad_json.read(path) if kind == "deepcad" else deepcad_vec.read(path)


def codes_of(path: Path) -> list[str]:
    """Return the scripts in a file of JSON Lines.

    Raises:
        ConfigError: if it is no such file.
    """
    try:
        return [json.loads(line)["code"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{path} is not a file of JSON Lines with a field 'code'") from e


def _short(spec: str) -> str:
    """Return a heading: the kind, and the count of a drawn set."""
    kind, _, rest = spec.partition(":")
    return f"{kind} {rest}" if kind == "synthetic" else kind


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dataset_build.statistics", description=__doc__)
    parser.add_argument("--a", required=True, help="the set to measure")
    parser.add_argument("--b", help="another set to put beside it")
    parser.add_argument("--tests", action="store_true", help="print the two-sample tests of --a and --b instead")
    args = parser.parse_args(argv)
    if args.tests and not args.b:
        raise ConfigError("--tests: two sets are tested; name the other one with --b")
    sets = [measure(programs_of(spec)) for spec in (args.a, args.b) if spec]
    names = _short(args.a), _short(args.b or "")
    text = tests(sets[0], sets[1], names) if args.tests else table(sets[0], sets[1] if len(sets) > 1 else None, names)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
