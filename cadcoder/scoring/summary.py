"""What rows come to: rates, means with and without failures, medians, bootstrap intervals."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cadcoder.scoring.rows import OURS, RAN, Row

#: Resamples of the bootstrap, and the interval's two tails.
RESAMPLES, TAILS = 5000, (2.5, 97.5)
#: Measures of which 0 is the worst value, so that it can stand for a failure, by how their names begin.
BOUNDED = ("iou", "acc")


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Return what rows come to.

    Rows of our own faults (``harness_error``) are left out of everything but ``left_out`` and ``outcomes``.

    Returns:
        ``count``, ``left_out``, ``outcomes`` (how often each), ``vsr`` (valid syntax rate, CAD-Coder's: the share that
        ran and left a shape), ``vsr_strict`` (the share that left a valid closed solid), ``invalid_ratio`` (the share
        that did not, CAD-Recode's IR), ``notes`` (how often each), and for each measure in ``metrics``: ``n`` rows that
        have it, ``mean_valid`` and ``median_valid`` over those, and with failures ``mean`` and ``median``: a failure
        counts 0 for an overlap or accuracy, and for a distance infinitely far, which a median bears and a mean does
        not. Every mean and rate is a dictionary of ``mean``, ``low`` and ``high``, a 95 % bootstrap interval over the
        rows.
    """
    everything = list(rows)
    counted = [r for r in everything if r["outcome"] != OURS]
    summary: dict[str, Any] = {
        "count": len(counted),
        "left_out": len(everything) - len(counted),
        "outcomes": dict(Counter(r["outcome"] for r in everything).most_common()),
        "vsr": None,
        "vsr_strict": None,
        "invalid_ratio": None,
        "notes": dict(Counter(note for r in counted for note in r["notes"]).most_common()),
        "metrics": {},
    }
    if not counted:
        return summary
    summary["vsr"] = estimate([float(r["outcome"] in RAN) for r in counted])
    summary["vsr_strict"] = estimate([float(r["outcome"] == "ok") for r in counted])
    summary["invalid_ratio"] = estimate([float(r["outcome"] != "ok") for r in counted])
    names = list(dict.fromkeys(name for r in counted if r["metrics"] for name in r["metrics"]))
    for name in names or ["iou_best"]:
        summary["metrics"][name] = _measure(name, counted)
    return summary


def _measure(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    valid = [float(r["metrics"][name]) for r in rows if r["metrics"] and r["metrics"].get(name) is not None]
    # A valid part without this measure (a script that does not parse has no ACC) is no failure: it is not counted.
    failed = sum(1 for r in rows if not r["metrics"])
    entry: dict[str, Any] = {"n": len(valid)}
    if name.startswith(BOUNDED):
        entry["mean"] = estimate([*valid, *[0.0] * failed]) if valid or failed else None
        entry["median"] = statistics.median([*valid, *[0.0] * failed]) if valid or failed else None
    elif valid and name != "mirrored":
        middle = statistics.median([*valid, *[math.inf] * failed])
        entry["median"] = middle if math.isfinite(middle) else None
    entry["mean_valid"] = estimate(valid) if valid else None
    entry["median_valid"] = statistics.median(valid) if valid else None
    return entry


def summarise_groups(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Return the summary of each group of rows by its name, in the order in which they first occur."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.get("group", ""), []).append(row)
    return {name: summarise(members) for name, members in groups.items()}


def estimate(values: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Return the mean of the values with a 95 % percentile bootstrap interval: ``mean``, ``low``, ``high``."""
    import numpy as np

    data = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // len(data))  # resamples at a time
    means = np.concatenate(
        [
            data[rng.integers(0, len(data), (min(step, RESAMPLES - i), len(data)))].mean(axis=1)
            for i in range(0, RESAMPLES, step)
        ]
    )
    low, high = np.percentile(means, TAILS)
    return {"mean": float(data.mean()), "low": float(low), "high": float(high)}
