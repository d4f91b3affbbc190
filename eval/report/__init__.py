"""Reports over rows: ``report.md``, ``report.tex`` and ``report.html``, each computed from the rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cadcoder.files import write_bytes
from cadcoder.scoring import Row
from eval.compare import all_figures
from eval.report.page import page
from eval.report.tables import latex, markdown
from eval.suites import Suite

__all__ = ["write_reports"]


def write_reports(
    rows: Sequence[Row], suite: Suite, out: Path, gallery: int = 200, calls: Mapping[str, int] | None = None
) -> None:
    """Write the three reports into a folder.

    Args:
        rows: of all models.
        suite: for names and pictures.
        out: the folder, with ``meshes/`` beside.
        gallery: how many parts the page shows.
        calls: of the ledger.

    Raises:
        InputError: if a file cannot be written.
    """
    found = all_figures(rows, suite.measure)
    write_bytes(out / "report.md", markdown(found, suite, calls).encode())
    write_bytes(out / "report.tex", latex(found, suite).encode())
    write_bytes(out / "report.html", page(found, rows, suite, out, gallery, calls).encode())
