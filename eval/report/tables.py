"""The same tables as Markdown for a README and as LaTeX (booktabs) for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.compare import PROTOCOLS
from eval.suites import Suite


def columns(found: Mapping[str, Any], suite: Suite) -> tuple[list[str], list[list[str]]]:
    """Return the main table: its heads, and a row of texts a model, the best first."""
    protocols = [p for p in PROTOCOLS if any(p in m["metrics"] for m in found["models"].values())]
    heads = ["model", "n", "VSR"]
    if suite.measure == "rounded":
        heads += ["rounded", "95 %"]
    heads += [x for p in protocols for x in ([PROTOCOLS[p][0], "95 %"] if p == "iou_best" else [PROTOCOLS[p][0]])]
    heads += ["IoU valid only", "CD median x1000", "failures", "$ a part", "s a part"]
    rows = []
    for name, figures in found["models"].items():
        metrics = figures["metrics"]
        row = [name, str(figures["count"]), percent(figures["vsr"])]
        if suite.measure == "rounded":
            row += [percent(figures["score"]), interval(figures["score"], 100, 0)]
        for p in protocols:
            mean = (metrics.get(p) or {}).get("mean") or (None if figures["count"] else None)
            row.append(number(mean["mean"] if mean else 0.0 if figures["count"] else None))
            if p == "iou_best":
                row.append(interval(mean))
        best = (metrics.get("iou_best") or {}).get("mean_valid")
        distance = (metrics.get("cd_deepcad") or {}).get("median")
        row += [
            number(best["mean"] if best else None),
            "-" if distance is None else f"{1000 * distance:.1f}",
            failures(figures),
            money(figures["cost_part"]),
            seconds(figures["seconds_part"]),
        ]
        rows.append(row)
    return heads, rows


def percent(estimate: Mapping[str, float] | None) -> str:
    """Return a rate."""
    return "-" if estimate is None else f"{100 * estimate['mean']:.0f} %"


def number(value: float | None) -> str:
    """Return an overlap."""
    return "-" if value is None else f"{value:.3f}"


def interval(estimate: Mapping[str, float] | None, scale: float = 1, digits: int = 3) -> str:
    """Return the ends of an interval."""
    if estimate is None:
        return "-"
    return f"{scale * estimate['low']:.{digits}f} to {scale * estimate['high']:.{digits}f}"


def money(value: Any) -> str:
    """Return dollars a part."""
    if value is None:
        return "?"
    return "0" if value == 0 else f"{float(value):.5f}"


def seconds(value: float) -> str:
    """Return a duration."""
    return "0" if value < 0.005 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def failures(figures: Mapping[str, Any]) -> str:
    """Return failures by name."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in figures["failures"].items()) or "none"


def markdown(found: Mapping[str, Any], suite: Suite, calls: Mapping[str, int] | None) -> str:
    """Return the report as Markdown."""
    heads, rows = columns(found, suite)
    text = [f"# {suite.name}", "", suite.about, "", *_md(heads, rows), "", NOTES, ""]
    if found["groups"]:
        names = list(found["models"])
        body = [
            [group or "-", *(number(m[n]["mean"]) if m.get(n) else "-" for n in names)]
            for group, m in found["groups"].items()
        ]
        text += ["## By group", "", *_md([f"{found['metric']}", *names], body), ""]
    if found["complexity"]:
        names = list(found["models"])
        body = [
            [
                faces(g["faces"]),
                *(f"{number(m['mean'])} ({m['n']})" if (m := g["models"].get(n)) else "-" for n in names),
            ]
            for g in found["complexity"]
        ]
        text += ["## By complexity", "", "Mean and number of parts, by the faces of the true part.", ""]
        text += [*_md(["faces", *names], body), ""]
    if found["pairs"]:
        body = [
            [
                f"{p['a']} - {p['b']}",
                str(p["n"]),
                f"{p['difference']:+.3f}",
                f"{p['low']:+.3f} to {p['high']:+.3f}",
                f"{p['better']} / {p['equal']} / {p['worse']}",
                p_value(p["p_holm"]),
            ]
            for p in found["pairs"]
        ]
        text += [
            "## Differences",
            "",
            *_md(["models", "parts", "difference", "95 %", "better / equal / worse", "p"], body),
        ]
        text += [
            "",
            "Part by part, failures as 0; p of a paired randomisation test, adjusted for the pairs (Holm).",
            "",
        ]
    text += ["## What it took", "", *_md(*taken(found)), ""]
    if calls and calls["asked"]:
        text += [
            f"Calls: {calls['asked']} made, {calls['answered']} answered, {calls['failed']} failed and tried again, "
            f"{calls['lost']} lost when a run was killed.",
            "",
        ]
    return "\n".join(text)


NOTES = (
    "VSR: the script ran and left a shape. Means count failures as 0, with 95 % bootstrap intervals over the parts; "
    "'valid only' leaves failures out. CD: DeepCAD's Chamfer distance, failures as infinitely far. Rows of faults that "
    "are not the model's (a provider that does not answer) are left out and asked again."
)


def taken(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the table of prompts, tokens and money."""
    heads = ["model", "prompt", "answers", "calls", "tokens in", "tokens out", "$ altogether", "left out"]
    rows = []
    for name, f in found["models"].items():
        asked = f"{f['prompt']} ({f['prompt_sha'][:8]})" if f["prompt"] else "-"
        total = "?" if f["cost"] is None else f"{f['cost']:.4f}" if f["cost"] else "0"
        tokens = [f"{f['tokens_in']:,}", f"{f['tokens_out']:,}"]
        rows.append([name, asked, str(f["calls"]), str(f["tries"]), *tokens, total, str(f["left_out"])])
    return heads, rows


def faces(bounds: tuple[int, int | None]) -> str:
    """Return a range of faces."""
    return f"{bounds[0]} or more" if bounds[1] is None else f"{bounds[0]} to {bounds[1]}"


def p_value(p: float) -> str:
    """Return a p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _md(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(heads), "|" + "---|" * len(heads), *(line(row) for row in rows)]


def latex(found: Mapping[str, Any], suite: Suite) -> str:
    """Return the main table and the differences as LaTeX; needs booktabs."""
    heads, rows = columns(found, suite)
    skip = heads.index("failures")
    heads = [h for i, h in enumerate(heads) if i != skip]
    best = [max((r[i] for r in rows), default="") if h.startswith("IoU") else "" for i, h in enumerate(heads)]
    rows = [[cell for i, cell in enumerate(row) if i != skip] for row in rows]
    best = [max((r[i] for r in rows), default="") if h.startswith("IoU") else "" for i, h in enumerate(heads)]
    body = []
    for row in rows:
        cells = [tex(cell) for cell in row]
        cells = [
            rf"\textbf{{{c}}}" if row[i] == best[i] and best[i] not in ("", "-") else c for i, c in enumerate(cells)
        ]
        body.append("  " + " & ".join(cells) + r" \\")
    text = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"  \caption{{{tex(suite.name)}: {tex(suite.about)} Failures count 0; 95\,\% bootstrap intervals.}}",
        r"  \begin{tabular}{l" + "r" * (len(heads) - 1) + "}",
        r"  \toprule",
        "  " + " & ".join(tex(h) for h in heads) + r" \\",
        r"  \midrule",
        *body,
        r"  \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    if found["pairs"]:
        text += [
            "",
            r"\begin{table}",
            r"  \caption{Differences part by part; $p$ of a paired randomisation test, Holm-adjusted.}",
            r"  \begin{tabular}{lrrrr}",
            r"  \toprule",
            r"  models & parts & difference & 95\,\% & $p$ \\",
            r"  \midrule",
            *(
                f"  {tex(p['a'])} $-$ {tex(p['b'])} & {p['n']} & {p['difference']:+.3f} & "
                rf"{p['low']:+.3f} to {p['high']:+.3f} & {tex(p_value(p['p_holm']))} \\"
                for p in found["pairs"]
            ),
            r"  \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    return "\n".join(text) + "\n"


def tex(text: str) -> str:
    """Return a text with what LaTeX reads as commands made plain."""
    table = {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
    }
    return "".join(table.get(letter, letter) for letter in text)
