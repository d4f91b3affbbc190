"""How ``cadcoder score`` shows rows and what they come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cadcoder.scoring import Row

#: How the measures are headed, in this order.
TITLES = {
    "iou_best": "IoU best",
    "iou_cad_coder": "CAD-Coder's",
    "iou_aligned": "IoU aligned",
    "iou_raw": "IoU in place",
    "iou_box": "IoU in box",
    "cd_deepcad": "CD DeepCAD",
    "cd_cadrille": "CD cadrille",
    "size_error": "size error",
    "acc_cmd": "ACC_cmd",
    "acc_param": "ACC_param",
    "mirrored": "mirrored",
}
RATES = {"vsr": "VSR (ran)", "vsr_strict": "VSR (valid)", "invalid_ratio": "invalid ratio"}


def show_one(row: Row, show: Callable[[str], None]) -> None:
    """Print one row, a measure a line."""
    show(f"outcome       {row['outcome']}" + (f" ({row['message']})" if row["message"] else ""))
    for name, value in (row["metrics"] or {}).items():
        show(f"{TITLES.get(name, name):<13} " + (_yes(value) if isinstance(value, bool) else f"{value:.4f}"))
    for note in row["notes"]:
        show(f"note          {note}")


def show_summary(rows: Sequence[Row], as_json: bool, show: Callable[[str], None]) -> None:
    """Print a table of the rows and what they come to; as JSON the latter alone, for all and for each group."""
    from cadcoder.scoring import summarise, summarise_groups

    summary, groups = summarise(rows), summarise_groups(rows)
    if as_json:
        more = {"groups": groups} if len(groups) > 1 else {}
        show(json.dumps({"summary": summary} | more))
        return
    width = max(len("id"), *(len(r["id"]) for r in rows))
    names = [n for n in TITLES if n in summary["metrics"]]
    show(f"{'id':<{width}}  {'outcome':<13}  " + "  ".join(f"{TITLES[n]:>12}" for n in names))
    for row in rows:
        values = row["metrics"] or {}
        cells = "  ".join(f"{_cell(values.get(n)):>12}" for n in names)
        show(f"{row['id']:<{width}}  {row['outcome']:<13}  {cells}".rstrip())
    for group, entry in groups.items():
        show("")
        if len(groups) > 1:
            show(f"{group}:")
        _show_entry(entry, show)
    if len(groups) > 1:
        show("")
        show("all:")
        _show_entry(summary, show)


def _show_entry(summary: dict[str, Any], show: Callable[[str], None]) -> None:
    left = f", {summary['left_out']} left out (our fault)" if summary["left_out"] else ""
    show(f"{summary['count']} scripts{left}; " + ", ".join(f"{n} {k}" for k, n in summary["outcomes"].items()))
    for key, title in RATES.items():
        if summary[key]:
            show(f"{title:<13} {_percent(summary[key])}")
    for name in TITLES:
        entry = summary["metrics"].get(name)
        if entry is None:
            continue
        parts = []
        if entry.get("mean"):
            parts.append(f"{_interval(entry['mean'])} with failures as 0, median {entry['median']:.4f}")
        if entry["mean_valid"]:
            parts.append(f"{_interval(entry['mean_valid'])} over the valid, median {entry['median_valid']:.4f}")
        if "mean" not in entry and entry.get("median") is not None:
            parts.append(f"median {entry['median']:.4f} with failures infinitely far")
        show(f"{TITLES[name]:<13} " + ("; ".join(parts) or "-"))
    for note, count in summary["notes"].items():
        show(f"note          {note}: {count}")


def _cell(value: float | bool | None) -> str:
    return "-" if value is None else _yes(value) if isinstance(value, bool) else f"{value:.4f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _interval(e: dict[str, Any]) -> str:
    return f"{e['mean']:.4f} [{e['low']:.4f}, {e['high']:.4f}]"


def _percent(e: dict[str, Any]) -> str:
    return f"{100 * e['mean']:.1f} % [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
