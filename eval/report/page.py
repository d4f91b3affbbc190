"""``report.html``: one file with everything in it, so that it can be sent, kept and opened anywhere.

The page's data is one JSON tree; ``page.js`` draws tables, charts and the gallery from it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import CadCoderError
from cadcoder.scoring import Row
from eval.compare import PROTOCOLS
from eval.report.tables import columns, taken
from eval.shapes import SHARP, bends, load_mesh
from eval.suites import Item, Suite

HERE = Path(__file__).resolve().parent
#: Side of the gallery's pictures in pixels; meshes with more faces than this are simplified.
SIDE, MOST_FACES = 240, 2500


def page(
    found: Mapping[str, Any],
    rows: Sequence[Row],
    suite: Suite,
    out: Path,
    gallery: int,
    calls: Mapping[str, int] | None = None,
) -> str:
    """Return the page.

    Args:
        found: of :func:`eval.compare.all_figures`.
        rows: all rows.
        suite: for pictures.
        out: the run's folder, for meshes.
        gallery: how many parts are shown; the others are in the charts alone.
        calls: of the ledger.
    """
    heads, body = columns(found, suite)
    data = {
        "suite": suite.name,
        "about": suite.about,
        "metric": found["metric"],
        "protocols": {name: list(words) for name, words in PROTOCOLS.items()},
        "table": {"heads": heads, "rows": body},
        "taken": dict(zip(("heads", "rows"), taken(found), strict=True)),
        "models": {name: _plain(figures) for name, figures in found["models"].items()},
        "complexity": found["complexity"],
        "groups": found["groups"],
        "pairs": found["pairs"],
        "calls": dict(calls or {}),
        "parts": _parts(found, rows, suite, out, gallery),
        "gallery": gallery,
    }
    script = (
        json.dumps(data, default=_default, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    )
    text = (HERE / "page.html").read_text(encoding="utf-8")
    fill = {
        "STYLE": (HERE / "page.css").read_text(encoding="utf-8"),
        "DATA": script,
        "SCRIPT": "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("view.js", "charts.js", "page.js")),
        "TITLE": suite.name.replace("&", "&amp;").replace("<", "&lt;"),
    }
    for name, content in fill.items():
        text = text.replace("{{" + name + "}}", content, 1)
    return text


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("count", "left_out", "outcomes", "failures", "vsr", "vsr_strict", "score", "kind", "prompt", "repeats")
    money = ("cost", "cost_part", "seconds_part", "tokens_in", "tokens_out", "calls", "tries")
    means = {name: entry.get("mean") for name, entry in figures["metrics"].items() if name.startswith("iou")}
    return {name: figures[name] for name in (*kept, *money)} | {"means": means}


def _parts(
    found: Mapping[str, Any], rows: Sequence[Row], suite: Suite, out: Path, gallery: int
) -> list[dict[str, Any]]:
    items = {item.name: item for item in suite.items}
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["id"], []).append(row)
    studio = _Drawings(out / "meshes")
    parts = []
    for number, (name, some) in enumerate(sorted(grouped.items())):
        shown = number < gallery
        answers = {}
        for row in sorted(some, key=lambda row: -row["repeat"]):  # the first repeat is the one shown
            answers[row["model"]] = _answer(row, studio, shown)
        part: dict[str, Any] = {"id": name, "group": some[0]["group"], "faces": some[0]["faces"], "answers": answers}
        if shown:
            part["picture"] = _picture(items.get(name))
            part["truth"] = studio.of(some[0].get("truth_mesh"))
        part["shown"] = shown
        parts.append(part)
    return parts


def _answer(row: Row, studio: _Drawings, shown: bool) -> dict[str, Any]:
    metrics = {k: round(float(v), 4) for k, v in (row["metrics"] or {}).items() if v is not None}
    answer = {"outcome": row["outcome"], "metrics": metrics, "cost": row["cost"], "seconds": row["answer_seconds"]}
    if shown:
        answer |= {
            "message": row["message"],
            "code": row["code"],
            "notes": row["notes"],
            "trail": row["trail"],
            "shape": studio.of(row.get("mesh")),
        }
    return answer


def _picture(item: Item | None) -> str | None:
    """Return a part's picture as a data address."""
    from PIL import Image

    from cadcoder.pictures import load

    if item is None:
        return None
    try:
        image = load(item.pictures[0])
    except CadCoderError:
        return None
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    colours = image.convert("RGB").getcolors(maxcolors=4096)
    if colours is not None:  # a drawing
        image.quantize(32).save(buffer, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


class _Drawings:
    """What the gallery shows of meshes: a drawing, and the mesh itself for the turning view."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drawn: dict[str, dict[str, Any] | None] = {}
        self.can_draw = True

    def of(self, name: str | None) -> dict[str, Any] | None:
        """Return ``png`` (a data address), ``v``, ``f`` and ``e`` of a mesh, None where there is none."""
        if name is None:
            return None
        if name not in self._drawn:
            mesh = load_mesh(self.folder / name)
            self._drawn[name] = None if mesh is None else self._made(*mesh)
        return self._drawn[name]

    def _made(self, vertices: Any, faces: Any) -> dict[str, Any]:
        made: dict[str, Any] = packed(vertices, faces)
        if self.can_draw:
            from eval.drawing import _png as drawn

            try:
                png = drawn(vertices, faces, SIDE)
                made["png"] = "data:image/png;base64," + base64.b64encode(png).decode()
            except CadCoderError:  # no window: the turning view stands in for it
                self.can_draw = False
        return made


def packed(vertices: Any, faces: Any) -> dict[str, Any]:
    """Return a mesh for the page: ``v`` uint16 places in a cube about the middle, ``f`` triangles, ``e`` sharp edges.

    Each is base64 of little-endian numbers; indices are uint16, or uint32 (``wide``) where there are many.
    """
    if len(faces) > MOST_FACES:
        vertices, faces = _simpler(vertices, faces)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    radius = float(np.linalg.norm(high - low)) / 2 or 1.0
    places = np.clip(((vertices - (low + high) / 2) / radius * 32767) + 32768, 0, 65535).astype("<u2")
    angles, _, pairs = bends(vertices, faces)
    edges = _shared(faces, pairs[angles > SHARP])
    wide = len(vertices) > 65535
    kind = "<u4" if wide else "<u2"
    pack = {"v": places, "f": faces.astype(kind), "e": edges.astype(kind)}
    return {name: base64.b64encode(np.ascontiguousarray(a).tobytes()).decode() for name, a in pack.items()} | {
        "wide": wide
    }


def _shared(faces: Any, pairs: Any) -> Any:
    """Return the two corners (E, 2) that each pair of faces shares."""
    if not len(pairs):
        return np.empty((0, 2), dtype=np.int64)
    first, second = faces[pairs[:, 0]], faces[pairs[:, 1]]
    common = (first[:, :, None] == second[:, None, :]).any(axis=2)
    good = common.sum(axis=1) == 2
    return first[good][common[good]].reshape(-1, 2)


def _simpler(vertices: Any, faces: Any) -> tuple[Any, Any]:
    """Return about the same shape with fewer triangles, where that can be had."""
    from cadcoder.geometry.solid import as_manifold

    body = as_manifold(vertices, faces)
    size = float(np.linalg.norm(vertices.max(axis=0) - vertices.min(axis=0)))
    for share in (0.001, 0.003, 0.01):
        mesh = body.simplify(share * size).to_mesh64()
        if 0 < len(mesh.tri_verts) <= MOST_FACES:
            break
    if not len(mesh.tri_verts):
        return vertices, faces
    return np.asarray(mesh.vert_properties)[:, :3], np.asarray(mesh.tri_verts).astype(np.int32)
