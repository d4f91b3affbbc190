"""Valid inputs of every reader, and ways to damage them; see :mod:`benchmarks.fuzz`."""

from __future__ import annotations

import copy
import io
import json
import math
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.program import emit
from dataset_build.files import FORMATS, open_files
from dataset_build.parts import Part
from dataset_build.readers.rejects import Refused, Reject
from dataset_build.scripts import script_part
from dataset_build.synth import sample
from dataset_build.tables import open_tables

Feed = Callable[[random.Random, Path], list[Part | Reject]]

#: What stands in for a value of JSON.
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, -(2**63), 10**400, 0.0, -0.0, 1e-300, 1e300, math.inf, math.nan, "", "x"),
    *("\ud800", "NewBodyFeatureOperation", "Line3D", "Circle3D", "Arc3D", [], {}, [[]], [None], {"x": 1}, {"type": 3}),
]


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with one to four faults."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not out:
            break
        at, length = rng.randrange(len(out)), rng.choice((1, 2, 4, 8, 32))
        match rng.randrange(8):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.randrange(256)
            case 2:
                out[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
            case 3:
                del out[at : at + length]
            case 4:
                out[at:at] = bytes(rng.randrange(256) for _ in range(length))
            case 5:
                del out[at:]
            case 6:
                begin = rng.randrange(len(out))
                out[at:at] = out[begin : begin + length * 4]
            case 7:
                value = rng.choice((0, 1, 2**15, 2**31 - 1, 2**32 - 1, len(out), len(out) + 1))
                out[at : at + 4] = value.to_bytes(4, rng.choice(("little", "big")))
    return bytes(out)


def damaged_json(rng: random.Random, text: bytes) -> bytes:
    """Return a JSON text with one to four faults in its structure; a fifth have them in their bytes."""
    if rng.random() < 0.2:
        return damaged_bytes(rng, text)
    data = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        holder, keys = data, []
        for _ in range(rng.randrange(1, 12)):
            if not isinstance(holder, dict | list) or not holder:
                break
            key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
            keys.append((holder, key))
            holder = holder[key]
        if not keys:
            continue
        inside, key = keys[-1] if rng.random() < 0.7 else rng.choice(keys)
        value = inside[key]
        match rng.randrange(6):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, list):
                inside.insert(rng.randrange(len(inside) + 1), copy.deepcopy(value))
            case 2 if isinstance(inside, list):
                rng.shuffle(inside)
            case 3 if isinstance(value, float) or (isinstance(value, int) and abs(value) < 1e9):
                inside[key] = value * rng.choice((-1, 0, 1e-9, 1.0001, 2, 1e9)) + rng.choice((0, 0, 1e-7, 1))
            case 4 if isinstance(value, str):
                # A name that stands elsewhere in the file is the likeliest confusion.
                found = data.get("entities") if isinstance(data, dict) else None
                names = list(found) if isinstance(found, dict) else []
                inside[key] = rng.choice([*names, value[::-1], value + "x"])
            case _:
                inside[key] = copy.deepcopy(rng.choice(ODD))
    try:
        return json.dumps(data).encode("utf-8", "surrogatepass")
    except (ValueError, OverflowError):
        return b"{}"


def damaged_array(rng: random.Random, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an N x 17 array with some numbers changed, some rows moved, or another shape or type."""
    out = array.copy()
    for _ in range(rng.choice((1, 2, 5))):
        row, column = rng.randrange(len(out)), rng.randrange(17)
        match rng.randrange(6):
            case 0 | 1:
                out[row, column] = rng.choice((-1, 0, 1, 127, 128, 255, 256, -(2**63), 2**62, rng.randrange(256)))
            case 2:
                out[row, 0] = rng.randrange(-1, 8)
            case 3:
                out = np.delete(out, row, axis=0) if len(out) > 1 else out
            case 4:
                out = np.insert(out, row, out[rng.randrange(len(out))], axis=0)
            case 5 if rng.random() < 0.2:
                kinds = (
                    out.astype(float) + 0.5,
                    out.astype(np.uint8),
                    out[:, :16],
                    out.ravel(),
                    out[:0],
                    out * math.nan,
                )
                return rng.choice(kinds)
    return out


# ---- valid inputs ---------------------------------------------------------------------------------------------------


def xyz(x: float, y: float, z: float = 0.0) -> dict[str, Any]:
    """Return a point."""
    return {"type": "Point3D", "x": x, "y": y, "z": z}


def _curves(radius: float) -> list[dict[str, Any]]:
    """Return a half disc on a rectangle."""
    arc = {
        **{"type": "Arc3D", "start_point": xyz(2, 1), "end_point": xyz(0, 1), "center_point": xyz(1, 1), "radius": 1.0},
        **{"normal": xyz(0, 0, 1), "start_angle": 0.0, "end_angle": math.pi, "reference_vector": xyz(1, 0)},
    }
    corners = [(0.0, 1.0), (0.0, 0.0), (2.0, 0.0), (2.0, 1.0)]
    lines = [
        {"type": "Line3D", "start_point": xyz(*a), "end_point": xyz(*b)}
        for a, b in zip(corners, corners[1:], strict=False)
    ]
    hole = {"type": "Circle3D", "center_point": xyz(1, 0.5), "radius": radius, "normal": xyz(0, 0, 1)}
    return [{"is_outer": True, "profile_curves": [*lines, arc]}, {"is_outer": True, "profile_curves": [hole]}]


def part_json(fusion: bool, pocket: str = "Cut") -> dict[str, Any]:
    """Return a part of two extrudes in DeepCAD's JSON or the Fusion 360 Gallery's."""

    def sketch(radius: float, z: float) -> dict[str, Any]:
        axes = {"x_axis": xyz(1, 0), "y_axis": xyz(0, 1), "z_axis": xyz(0, 0, 1)}
        drawn = {
            "points": {"p": xyz(1, 1), "q": xyz(0, 0)},
            "curves": {"c": {"type": "SketchLine", "start_point": "p", "end_point": "q"}},
        }
        profiles = {"P": {"loops": _curves(radius), "properties": {"area": 3.0}}}
        return {"type": "Sketch", "transform": {"origin": xyz(0, 0, z), **axes}, "profiles": profiles, **drawn}

    def extrude(name: str, operation: str, length: float, kind: str) -> dict[str, Any]:
        distance = {
            "type": "SymmetricExtentDefinition" if fusion and kind == "Symmetric" else "DistanceExtentDefinition",
            "distance": {"type": "ModelParameter", "value": length},
            "taper_angle": {"type": "ModelParameter", "value": 0.0},
            "is_full_length": True,
        }
        start: dict[str, Any] = {"type": "ProfilePlaneStartDefinition"}
        if fusion and kind == "OneSide":
            start = {"type": "OffsetStartDefinition", "offset": {"type": "ModelParameter", "value": 0.0}}
        return {
            **{"type": "ExtrudeFeature", "name": name, "profiles": [{"profile": "P", "sketch": name}]},
            **{"operation": f"{operation}FeatureOperation", "start_extent": start},
            **{"extent_type": f"{kind}FeatureExtentType", "extent_one": distance, "extent_two": distance},
        }

    entities = {
        **{"S1": sketch(0.3, 0.0), "E1": extrude("S1", "NewBody", 1.0, "OneSide")},
        **{"S2": sketch(0.1, 0.5), "E2": extrude("S2", pocket, 0.25, "Symmetric" if pocket == "Cut" else "TwoSides")},
    }
    order = [
        {"index": i, "entity": key, "type": "Sketch" if key[0] == "S" else "ExtrudeFeature"}
        for i, key in enumerate(entities)
    ]
    box = {"min_point": xyz(0, 0), "max_point": xyz(2, 2, 1)}
    return {
        "entities": entities,
        "timeline" if fusion else "sequence": order,
        "properties": {"bounding_box": box},
    }


def part_array() -> np.ndarray[Any, Any]:
    """Return a plate with a hole and a boss as an 8-bit sequence."""
    u = -1

    def row(command: int, *values: int, at: int = 1) -> list[int]:
        return [command] + [u] * (at - 1) + list(values) + [u] * (17 - at - len(values))

    loop, end = row(4), row(3)
    sides = [row(0, 223, 128), row(0, 223, 223), row(1, 128, 223, 64, 1), row(0, 128, 128)]
    extrude = row(5, 128, 128, 128, 128, 128, 128, 95, 160, 128, 0, 0, at=6)
    boss = row(5, 192, 64, 192, 128, 128, 128, 60, 150, 140, 1, 2, at=6)
    circle = [2, 175, 175, u, u, 19] + [u] * 11
    return np.array([loop, *sides, loop, circle, extrude, loop, circle, boss, end, end])


def h5_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """Return an HDF5 file with a dataset ``vec``."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as h:
        h.create_dataset("vec", data=array)
    return out.getvalue()


def npz_bytes(array: np.ndarray[Any, Any], packed: bool) -> bytes:
    """Return an npz or npy file."""
    out = io.BytesIO()
    np.savez(out, vec=array) if packed else np.save(out, array)
    return out.getvalue()


# ---- one feed a reader ----------------------------------------------------------------------------------------------


def _read(kind: str, raw: bytes, suffix: str) -> list[Part | Reject]:
    try:
        program, box = FORMATS[kind].read(raw, suffix)
    except Refused as e:
        return [e.at("fuzz")]
    return [Part(program, "fuzz", box=box)]


def _json_feed(kind: str) -> Callable[[Path], Feed]:
    def begin(_: Path) -> Feed:
        parts = [part_json(kind == "fusion360", pocket) for pocket in ("Cut", "Join", "Intersect")]
        valid = [json.dumps(part).encode() for part in parts]
        return lambda rng, _: _read(kind, damaged_json(rng, rng.choice(valid)), ".json")

    return begin


def _array_feed(suffix: str) -> Callable[[Path], Feed]:
    def begin(_: Path) -> Feed:
        array = part_array()

        def packed(a: np.ndarray[Any, Any]) -> bytes:
            return h5_bytes(a) if suffix == ".h5" else npz_bytes(a, suffix == ".npz")

        valid = packed(array)

        def feed(rng: random.Random, _: Path) -> list[Part | Reject]:
            if rng.random() < 0.5:
                return _read("deepcad-vec", damaged_bytes(rng, valid), suffix)
            return _read("deepcad-vec", packed(damaged_array(rng, array)), suffix)

        return feed

    return begin


def _script_feed(_: Path) -> Feed:
    texts = [emit(sample(k), dialect) for k in range(20) for dialect in ("plain", "gencad")]

    def feed(rng: random.Random, _: Path) -> list[Part | Reject]:
        text = rng.choice(texts)
        if rng.random() < 0.3:
            raw = damaged_bytes(rng, text.encode())
        else:  # words of scripts in the wrong places
            words = text.split(rng.choice((" ", ",", "(", ".")))
            for _n in range(rng.randrange(1, 4)):
                words[rng.randrange(len(words))] = rng.choice((*words, "1e999", "-0", "nan", "[]", "cq", "*", "1/0"))
            raw = rng.choice((" ", ",", "(", ".")).join(words).encode()
        try:
            return [script_part(raw, "fuzz")]
        except Refused as e:
            return [e.at("fuzz")]

    return feed


def _table_feed(folder: Path) -> Feed:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # The shortest: what is fuzzed here is the table; for texts there is the reader of scripts.
    codes = sorted((emit(sample(k), "gencad") for k in range(40)), key=len)[:6]
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array([{"bytes": b"\x89PNG\r\n\x1a\n", "path": None}] * 6, picture),
        "deepcad_id": pa.array([f"0000/{k:08d}" for k in range(6)]),
        "cadquery": pa.array(codes),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=3)
    valid, path = out.getvalue(), folder / "train-00000.parquet"

    def feed(rng: random.Random, _: Path) -> list[Part | Reject]:
        path.write_bytes(damaged_bytes(rng, valid))
        from dataset_build import tables

        tables._reader.cache_clear()  # another file of the same name
        found = open_tables(path, None, keep_pictures=rng.random() < 0.2)
        return [found.part(i) for i in range(min(len(found), 8))]

    return feed


def _archive_feed(kind: str) -> Callable[[Path], Feed]:
    def begin(folder: Path) -> Feed:
        texts = [json.dumps(part_json(False, pocket)).encode() for pocket in ("Cut", "Join", "Intersect")]
        path = folder / f"set.{kind}"

        def archive(rng: random.Random) -> bytes:
            out = io.BytesIO()
            names = [
                rng.choice((f"cad_json/{k:04d}/a.json", f"/{k}.json", f"../{k}.json", f"{k}.json")) for k in range(3)
            ]
            if rng.random() < 0.7:
                names = [f"cad_json/{k:04d}/a.json" for k in range(3)]
            if kind == "zip":
                method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
                with zipfile.ZipFile(out, "w", method) as z:
                    for name, text in zip(names, texts, strict=True):
                        z.writestr(name, text)
                return out.getvalue()
            with tarfile.open(fileobj=out, mode="w:gz" if kind != "tar" else "w") as t:
                for name, text in zip(names, texts, strict=True):
                    info = tarfile.TarInfo(name)
                    info.size = len(text)
                    if rng.random() < 0.05:
                        info.type, info.linkname = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE)), "../../etc/passwd"
                        info.size = 0
                    t.addfile(info, io.BytesIO(text) if info.size else None)
            return out.getvalue()

        valid = [archive(random.Random(k)) for k in range(40)]

        def feed(rng: random.Random, _: Path) -> list[Part | Reject]:
            path.write_bytes(damaged_bytes(rng, rng.choice(valid)))
            from dataset_build.readers import containers

            containers._handle.cache_clear()
            found = open_files("deepcad-json", path, None)
            return [found.part(i) for i in range(min(len(found), 8))]

        return feed

    return begin


#: For each reader a function that takes a folder to work in and returns what feeds it one damaged input.
MAKERS: dict[str, Callable[[Path], Feed]] = {
    "deepcad-json": _json_feed("deepcad-json"),
    "fusion360": _json_feed("fusion360"),
    "deepcad-vec h5": _array_feed(".h5"),
    "deepcad-vec npz": _array_feed(".npz"),
    "deepcad-vec npy": _array_feed(".npy"),
    "scripts": _script_feed,
    "gencad-code": _table_feed,
    "tar": _archive_feed("tar"),
    "tar.gz": _archive_feed("tgz"),
    "zip": _archive_feed("zip"),
}
