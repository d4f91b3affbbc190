"""Programs converted a second of one core: from a published file to a program to its plain script, nothing drawn.

    python -m benchmarks.readers [--data FOLDER] [--seconds 5]

The files are held in memory, so that the disk does not take part, and are gone through until the time is over. Besides
the whole, the stages: bytes to numbers (JSON or HDF5), numbers to a program, program to text; and the whole from a zip
and a tar, which adds finding and unpacking. Processor seconds of this process. Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cadcoder.program import Program, emit
from dataset_build.files import FORMATS, open_files
from dataset_build.readers import deepcad_json, deepcad_vec, features
from dataset_build.readers.rejects import Refused, Reject

ROOT = Path(__file__).resolve().parent.parent


def rate(work: Callable[[Any], object], items: Sequence[Any], seconds: float) -> float:
    """Return items a processor second."""
    for item in items:
        work(item)  # imports and caches
    began, done = time.process_time(), 0
    while (spent := time.process_time() - began) < seconds:
        for item in items:
            work(item)
        done += len(items)
    return round(done / spent, 1)


def measure(kind: str, files: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Return the rates of one format."""
    form, suffix = FORMATS[kind], files[0].suffix
    raws = [f.read_bytes() for f in files]

    def read(raw: bytes) -> Program | None:
        try:
            return form.read(raw, suffix)[0]
        except Refused:
            return None

    def convert(raw: bytes) -> str:
        program = read(raw)
        return "" if program is None else emit(program, "plain")

    programs = [p for p in map(read, raws) if p is not None]
    found: dict[str, Any] = {"files": len(files), "programs": len(programs)}
    found["bytes a file"] = sum(map(len, raws)) // len(raws)
    found["programs a second"] = rate(convert, raws, seconds)
    if kind == "deepcad-vec":
        arrays = [deepcad_vec._h5_array(raw) for raw in raws]
        usable = [a for a, raw in zip(arrays, raws, strict=True) if read(raw) is not None]
        found["bytes to numbers"] = rate(deepcad_vec._h5_array, raws, seconds / 2)
        found["numbers to program"] = rate(deepcad_vec.from_array, usable, seconds / 2)
    else:
        found["bytes to numbers"] = rate(features.load, raws, seconds / 2)
        found["numbers to program"] = rate(deepcad_json.from_dict, [features.load(r) for r in raws], seconds / 2)
    found["program to text"] = rate(lambda p: emit(p, "plain"), programs, seconds / 2)
    for archive in ("zip", "tar"):
        with tempfile.TemporaryDirectory() as folder:
            path = _archive(Path(folder) / f"set.{archive}", files, raws)
            source = open_files(kind, path, None)

            def through(i: int, source: Any = source) -> object:
                part = source.part(i)
                return part if isinstance(part, Reject) else emit(part.program, "plain")

            found[f"programs a second from a {archive}"] = rate(through, range(len(source)), seconds / 2)
    return found


def _archive(path: Path, files: Sequence[Path], raws: Sequence[bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for file, raw in zip(files, raws, strict=True):
                z.writestr(file.name, raw)
    else:
        with tarfile.open(path, "w") as t:
            for file, raw in zip(files, raws, strict=True):
                info = tarfile.TarInfo(file.name)
                info.size = len(raw)
                t.addfile(info, io.BytesIO(raw))
    return path


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    default = Path(os.environ.get("CADCODER_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--data", type=Path, default=default, help="folder that holds deepcad_samples")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor seconds a figure")
    a = parser.parse_args(argv)
    out = {}
    for kind, folder, suffix in (("deepcad-json", "cad_json", "json"), ("deepcad-vec", "cad_vec", "h5")):
        files = sorted((a.data / "deepcad_samples" / folder).rglob(f"*.{suffix}"))
        if not files:
            sys.exit(f"no real samples in {a.data}; give --data FOLDER")
        out[kind] = measure(kind, files, a.seconds)
    print(json.dumps(out, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
