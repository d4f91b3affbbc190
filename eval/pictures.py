"""Measure a checkpoint on pictures with true parts, step by step from greedy to refined.

``python -m eval.pictures --data FOLDER [--model NAME|DIR] [--candidates 8] [--out rows.jsonl]``

The folder holds ``samples.jsonl``: rows with ``id``, ``image`` and ``step`` (paths relative to it), the layout of
the GenCAD-Code development samples; ``images`` in place of ``image`` is a list, several pictures of one part
(:mod:`dataset_build.families` writes both). Five figures a part: the greedy script of the first picture; the greedy
scripts fitted; the best of N by drawing and comparing; that, fitted, which is what ``cadcoder generate --candidates
N`` prints; and the best that was among the N by the truth itself, which no method can know.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from cadcoder.errors import CadCoderError, InputError
from cadcoder.geometry.read import read_solid
from cadcoder.pictures import load
from cadcoder.pipeline import Options, Pipeline
from cadcoder.scoring import estimate, measured

#: What is measured, in the order in which it is printed.
STAGES = ("greedy", "greedy fitted", "best of N", "best of N fitted", "among N (oracle)")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eval.pictures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with samples.jsonl")
    parser.add_argument("--model", default="default", help="name or folder of a checkpoint")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write a JSON row a picture here")
    args = parser.parse_args(argv)
    try:
        rows = measure(args.data, args.model, args.candidates, args.seed, args.out)
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(table(rows, args.candidates))  # noqa: T201
    return 0


def measure(data: Path, model: str, n: int, seed: int, out: Path | None) -> list[dict[str, Any]]:
    """Return one row a picture: ``id`` and for each stage the outcome and IoU_best (0 for a failure).

    Raises:
        InputError: if the folder has no samples, or a sample no picture or true part.
    """
    index = data / "samples.jsonl"
    try:
        samples = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines() if line.strip()]
        items = [(s["id"], [data / one for one in s.get("images") or [s["image"]]], data / s["step"]) for s in samples]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{index} cannot be read as samples with id, image and step: {error}") from None
    settings = {
        "greedy fitted": Options(candidates=1, seed=seed, style="plain"),
        "best of N": Options(candidates=n, seed=seed, refine=False, style="raw"),
        "best of N fitted": Options(candidates=n, seed=seed, style="plain"),
    }
    rows: list[dict[str, Any]] = [{"id": name, "candidates": n, "seed": seed, "model": model} for name, _, _ in items]
    with Pipeline(model, many=True) as pipeline:
        truths = [read_solid(step) for _, _, step in items]
        start = time.perf_counter()
        for row, (_, images, _), truth in zip(rows, items, truths, strict=True):
            # Straight from the model: the pipeline would sample again where the first script does not run.
            (code,) = pipeline.drafter.candidates(load(images[0]), n=1, seed=seed)
            row["greedy"] = measured(pipeline.run(code), truth) | {"code": code}
        _say("greedy", start, len(items))
        for stage, options in settings.items():
            start = time.perf_counter()
            parts = pipeline.generate_many([images for _, images, _ in items], options)
            for row, truth, (_, part) in zip(rows, truths, parts, strict=True):
                row[stage] = _row(part, truth)
                if stage == "best of N" and not isinstance(part, CadCoderError):
                    tried = [measured(c.outcome, truth) for c in part.candidates]
                    row["among N (oracle)"] = max(tried, key=_iou)
                elif stage == "best of N":
                    row["among N (oracle)"] = row[stage]
            _say(stage, start, len(items))
    if out is not None:
        out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def _say(stage: str, start: float, count: int) -> None:
    seconds = (time.perf_counter() - start) / count
    print(f"{stage}: {seconds:.2f} s a picture, scoring included", file=sys.stderr)  # noqa: T201


def _row(part: Any, truth: Any) -> dict[str, Any]:
    if isinstance(part, CadCoderError):
        return {"outcome": "no_result", "message": str(part), "metrics": None}
    return measured(part.outcome, truth) | {"code": part.code, "likeness": part.likeness}


def _iou(row: dict[str, Any], name: str = "iou_best") -> float:
    return float(row["metrics"][name]) if row["metrics"] else 0.0


def table(rows: list[dict[str, Any]], n: int) -> str:
    """Return the means as a Markdown table: VSR, IoU_best and IoU_aligned with failures as 0, and over the valid."""
    lines = [
        f"| N = {n}, {len(rows)} pictures | VSR | IoU_best | 95 % | valid only | IoU_aligned |",
        "|---|---|---|---|---|---|",
    ]
    for stage in STAGES:
        values = [_iou(row[stage]) for row in rows]
        aligned = sum(_iou(row[stage], "iou_aligned") for row in rows) / len(rows)
        valid = [v for v, row in zip(values, rows, strict=True) if row[stage]["outcome"] == "ok"]
        e = estimate(values)
        mean_valid = sum(valid) / len(valid) if valid else 0.0
        share = 100 * len(valid) / len(rows)
        interval = f"{e['low']:.3f} to {e['high']:.3f}"
        lines.append(f"| {stage} | {share:.0f} % | {e['mean']:.3f} | {interval} | {mean_valid:.3f} | {aligned:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
