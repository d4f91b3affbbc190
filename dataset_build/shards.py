"""The files of a built set: Parquet shards that ``datasets.load_dataset`` opens, written whole or not at all.

``OUT/data/train-00003-of-00012.parquet`` holds the samples, in order; ``OUT/rejects.parquet`` what did not become
one; ``OUT/meta.json`` what the set is. While a build runs, ``OUT/.work/`` holds the rejects of finished shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_build.readers.rejects import Reason, Reject

#: The columns that hold PNG files.
PICTURES = ("image", "depth")


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a set.

    Attributes:
        image: the picture as PNG, None in a set without pictures.
        code: CadQuery script in the ``plain`` dialect.
        program: the same part as JSON (:mod:`cadcoder.program.serialize`).
        caption: one line of English.
        source: where it comes from, for example ``synthetic`` or ``deepcad-json/0006/00060207.json``.
        seed: what the synthesiser was given; -1 for real parts.
        depth: how near what is seen is, as PNG (:mod:`dataset_build.depth`); None in a set without pictures.
    """

    image: bytes | None
    code: str
    program: str
    caption: str
    source: str
    seed: int
    depth: bytes | None


def schema(images: bool = True) -> pa.Schema:
    """Return the schema of a shard, with the features as ``datasets`` writes them."""
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    text = {"dtype": "string", "_type": "Value"}
    features: dict[str, Any] = {"image": {"_type": "Image"}} if images else {}
    fields = [pa.field("image", picture)] if images else []
    for name in ("code", "program", "caption", "source"):
        fields.append(pa.field(name, pa.string()))
        features[name] = text
    fields.append(pa.field("seed", pa.int64()))
    features["seed"] = {"dtype": "int64", "_type": "Value"}
    if images:
        fields.append(pa.field("depth", picture))
        features["depth"] = {"_type": "Image"}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def shard_path(out: Path, index: int, count: int) -> Path:
    """Return the path of shard ``index`` of ``count``."""
    return out / "data" / f"train-{index:05d}-of-{count:05d}.parquet"


def write_shard(path: Path, samples: Sequence[Sample], images: bool = True) -> None:
    """Write a shard under another name and rename it, so that it is there whole or not at all."""
    columns: dict[str, list[Any]] = {}
    for name in PICTURES if images else ():
        columns[name] = [{"bytes": getattr(s, name), "path": None} for s in samples]
    for name in ("code", "program", "caption", "source", "seed"):
        columns[name] = [getattr(s, name) for s in samples]
    form = schema(images)
    table = pa.table({f.name: pa.array(columns[f.name], f.type) for f in form}, schema=form)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # PNG does not compress again; text does. Small row groups keep random access cheap.
    compression = {f.name: "zstd" for f in form if f.name not in PICTURES}
    names = {f"{name}.{part}": "none" for name in PICTURES for part in ("bytes", "path")} if images else {}
    pq.write_table(table, partial, row_group_size=200, compression={**compression, **names}, write_statistics=False)
    _settle(partial, path)


def count_rows(path: Path) -> int:
    """Return how many samples a finished shard holds."""
    return int(pq.read_metadata(path).num_rows)


def write_json(path: Path, data: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
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
