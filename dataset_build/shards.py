"""The files of a built set: Parquet shards that ``datasets.load_dataset`` opens, written whole or not at all.

``OUT/data/train-00003-of-00012.parquet`` holds the samples, in order; ``OUT/rejects.parquet`` what did not become
one; ``OUT/meta.json`` what the set is. While a build runs, ``OUT/.work/`` holds the rejects of finished shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dataset_build.readers.rejects import Reason, Reject
from dataset_build.wish import MAPS, Wish, as_wish


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a set.

    Attributes:
        image: the first picture as a PNG or JPEG file, None in a set without pictures.
        code: CadQuery script in the ``plain`` dialect.
        program: the same part as JSON (:mod:`cadcoder.program.serialize`).
        caption: one line of English.
        source: where it comes from, for example ``synthetic`` or ``deepcad-json/0006/00060207.json``.
        seed: what the synthesiser was given; -1 for real parts.
        depth: how near what is seen in ``image`` is, as PNG (:mod:`dataset_build.depth`); None where ``image`` is not
            in the GenCAD frame.
        images: the pictures after the first, in a set of several.
        views: what each of them shows, ``image`` first (:mod:`dataset_build.pictures`).
        maps: maps as PNG, by the name of their column.
        sign: signature (:mod:`dataset_build.signature`), to find duplicates by; not written.
    """

    image: bytes | None
    code: str
    program: str
    caption: str
    source: str
    seed: int
    depth: bytes | None
    images: tuple[bytes, ...] = ()
    views: tuple[str, ...] = ()
    maps: Mapping[str, bytes] = field(default_factory=dict)
    sign: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


def schema(images: bool | Wish = True) -> pa.Schema:
    """Return the schema of a shard, with the features as ``datasets`` writes them.

    Args:
        images: which pictures the set has.
    """
    wish = as_wish(images)
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    text = {"dtype": "string", "_type": "Value"}
    features: dict[str, Any] = {"image": {"_type": "Image"}} if wish else {}
    fields = [pa.field("image", picture)] if wish else []
    for name in ("code", "program", "caption", "source"):
        fields.append(pa.field(name, pa.string()))
        features[name] = text
    fields.append(pa.field("seed", pa.int64()))
    features["seed"] = {"dtype": "int64", "_type": "Value"}
    for name in (*(["depth"] if wish.deep else []), *(MAPS[m] for m in wish.maps)):
        fields.append(pa.field(name, picture))
        features[name] = {"_type": "Image"}
    if wish.several:
        fields += [pa.field("images", pa.list_(picture)), pa.field("views", pa.list_(pa.string()))]
        features["images"] = {"feature": {"_type": "Image"}, "_type": "List"}
        features["views"] = {"feature": text, "_type": "List"}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def shard_path(out: Path, index: int, count: int) -> Path:
    """Return the path of shard ``index`` of ``count``."""
    return out / "data" / f"train-{index:05d}-of-{count:05d}.parquet"


def write_shard(path: Path, samples: Sequence[Sample], images: bool | Wish = True) -> None:
    """Write a shard under another name and rename it, so that it is there whole or not at all."""
    form = schema(images)
    table = pa.table({f.name: pa.array([_cell(s, f.name) for s in samples], f.type) for f in form}, schema=form)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # Picture files do not compress again; text does. Small row groups keep random access cheap.
    held = {
        f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name: f.name
        for f in form
        if pa.types.is_struct(f.type) or (pa.types.is_list(f.type) and pa.types.is_struct(f.type.value_type))
    }
    compression = {f.name: "zstd" for f in form if f.name not in held.values()}
    names = {f"{name}.{part}": "none" for name in held for part in ("bytes", "path")}
    if "views" in compression:
        compression["views.list.element"] = compression.pop("views")
    pq.write_table(table, partial, row_group_size=200, compression={**compression, **names}, write_statistics=False)
    _settle(partial, path)


def _cell(sample: Sample, column: str) -> Any:
    """Return what a sample holds in a column."""
    if column == "images":
        return [{"bytes": data, "path": None} for data in sample.images]
    if column in ("image", "depth"):
        return {"bytes": getattr(sample, column), "path": None}
    if column in MAPS.values():
        return {"bytes": sample.maps[column], "path": None}
    return list(sample.views) if column == "views" else getattr(sample, column)


def count_rows(path: Path) -> int:
    """Return how many samples a finished shard holds."""
    return int(pq.read_metadata(path).num_rows)


def write_json(path: Path, data: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON by rename."""
    write_whole(path, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    _settle(partial, path)


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write ``rejects.parquet`` (reason, file, place, detail) by rename; also where there are none."""
    rows = [asdict(r) | {"reason": r.reason.value} for r in rejects]
    form = pa.schema([(name, pa.string()) for name in ("reason", "file", "place", "detail")])
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=form), partial, compression="zstd", write_statistics=False)
    _settle(partial, path)


def save_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Keep the rejects of one shard until the set is whole."""
    write_json(path, [[r.reason.value, r.file, r.place, r.detail] for r in rejects])


def load_rejects(path: Path) -> list[Reject]:
    """Return what :func:`save_rejects` kept."""
    return [Reject(Reason(r), f, p, d) for r, f, p, d in json.loads(path.read_text(encoding="utf-8"))]


def _settle(partial: Path, path: Path) -> None:
    """Rename to the final name once the bytes are on the disk."""
    fd = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(partial, path)
