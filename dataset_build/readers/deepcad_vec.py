"""DeepCAD's and GenCAD's 8-bit command sequences (``cad_vec/*.h5``) as programs.

Format: Wu et al., "DeepCAD: A Deep Generative Network for Computer-Aided Design Models", ICCV 2021,
section 3.1 and supplement A. ``vec`` is N x 17 integers: the command (0 line, 1 arc, 2 circle, 3 end of
sequence, 4 start of loop, 5 extrude) and 16 arguments x, y, alpha, f, r | theta, phi, gamma | px, py, pz, s |
e1, e2, b, u, of which a command uses its own and leaves -1 in the others. 256 levels an argument:

* sketch x, y, r: pixels of a 256 x 256 canvas. The profile's start point lies at (128, 128) and its furthest
  extent from there at 95 pixels (0.75 of the half canvas, less one), which is ``s`` in the world;
* positions and extents: 2 v / 256 - 1; size s: 2 v / 256; angles of the plane: (2 v / 256 - 1) pi;
* arc: sweep 2 pi alpha / 256, counter-clockwise where f = 1;
* a curve starts where the last one ended, and the first where the last curve of its loop ends.

Programs come out in the unit of the source: the part fits a cube of half side 0.75 about the origin.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.program.types import Arc, Circle, Extrude, Line, Operation, Plane, Point, Profile, Program, Sketch
from dataset_build.readers.loops import closed, nest
from dataset_build.readers.rejects import MAX_BYTES, Reason, Refused, Reject, read_bytes

LINE, ARC, CIRCLE, EOS, SOL, EXT = range(6)
LEVELS = 256
#: Pixels from the start point to the furthest extent of a profile: 256 / 2 * 0.75 - 1.
CANVAS = 95.0
OPERATIONS = (Operation.NEW, Operation.JOIN, Operation.CUT, Operation.INTERSECT)
ONE_SIDE, SYMMETRIC, TWO_SIDES = range(3)
#: No published sequence is longer than 60 commands before DeepCAD's filter; this only stops hostile files.
MAX_ROWS = 10_000


def read(path: Path) -> Program | Reject:
    """Return the program that an ``.h5``, ``.npy`` or ``.npz`` file holds, or why there is none."""
    try:
        return from_bytes(read_bytes(path), path.suffix)
    except Refused as e:
        return e.at(str(path))


def from_bytes(raw: bytes, suffix: str) -> Program:
    """Return the program that a file's bytes hold.

    Args:
        raw: the file.
        suffix: ``.h5``, ``.npy`` or ``.npz``.

    Raises:
        Refused: with the row of the fault.
    """
    return from_array(_numpy_array(raw) if suffix in (".npy", ".npz") else _h5_array(raw))


def _numpy_array(raw: bytes) -> Any:
    try:
        loaded = np.load(io.BytesIO(raw), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if not loaded.files:
                raise Refused(Reason.MALFORMED, "", "the file holds no array")
            name = "vec" if "vec" in loaded.files else loaded.files[0]
            if loaded.zip.getinfo(loaded.zip.namelist()[loaded.files.index(name)]).file_size > MAX_BYTES:
                raise Refused(Reason.TOO_LARGE, name, f"the array unpacks to more than {MAX_BYTES} bytes")
            return loaded[name]
    except Refused:
        raise
    except (MemoryError, OverflowError, RecursionError) as e:
        raise Refused(Reason.UNREADABLE, "", type(e).__name__) from e
    except Exception as e:  # numpy evaluates the header as Python, and zipfile lets out what its parsing meets
        raise Refused(Reason.UNREADABLE, "", " ".join(str(e).split()) or type(e).__name__) from e


def _h5_array(raw: bytes) -> Any:
    import h5py

    # The low-level calls, on bytes: a quarter of the time of h5py.File on a file object.
    try:
        file = h5py.h5f.open_file_image(raw, flags=h5py.h5f.ACC_RDONLY)
    except (OSError, ValueError, RuntimeError, TypeError, MemoryError) as e:
        raise Refused(Reason.UNREADABLE, "", " ".join(str(e).split())) from e
    try:
        if b"vec" not in file:
            raise Refused(Reason.MALFORMED, "", "there is no dataset called vec")
        found = h5py.h5o.open(file, b"vec")
        if not isinstance(found, h5py.h5d.DatasetID):
            raise Refused(Reason.MALFORMED, "", "there is no dataset called vec")
        shape = found.shape
        if len(shape) != 2 or shape[0] > MAX_ROWS or shape[1] != 17:
            raise Refused(Reason.MALFORMED, "vec", f"shape {shape}, not N x 17")
        if found.dtype.kind not in "iuf":
            raise Refused(Reason.MALFORMED, "vec", f"type {found.dtype}, not integers")
        array = np.empty(shape, dtype=found.dtype)
        found.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        return array
    except Refused:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, MemoryError, OverflowError) as e:
        raise Refused(Reason.UNREADABLE, "", " ".join(str(e).split()) or type(e).__name__) from e
    finally:
        file.close()


def from_array(vec: Any) -> Program:
    """Return the program of an N x 17 integer array; what follows the first end of sequence is padding.

    Raises:
        Refused: with the row of the fault.
    """
    array = np.asarray(vec)
    if array.ndim != 2 or array.shape[1] != 17 or array.shape[0] > MAX_ROWS:
        raise Refused(Reason.MALFORMED, "vec", f"shape {array.shape}, not N x 17")
    if array.dtype.kind not in "iuf":
        raise Refused(Reason.MALFORMED, "vec", f"type {array.dtype}, not integers")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise Refused(Reason.BAD_NUMBER, "vec", "a value is not a whole number")
    rows: list[list[int]] = [[int(v) for v in row] for row in array.tolist()]
    extrudes: list[Extrude] = []
    loops: list[tuple[int, list[list[int]]]] = []
    for i, row in enumerate(rows):
        command = row[0]
        if command == EOS or command == -1:
            break
        if command == SOL:
            loops.append((i, []))
        elif command in (LINE, ARC, CIRCLE):
            if not loops:
                raise Refused(Reason.MALFORMED, f"row {i}", "a curve before the start of a loop")
            loops[-1][1].append(row)
        elif command == EXT:
            if not loops:
                raise Refused(Reason.MALFORMED, f"row {i}", "an extrude without a sketch")
            extrudes.append(_extrude(row, loops, i, first=not extrudes))
            loops = []
        else:
            raise Refused(Reason.UNKNOWN_COMMAND, f"row {i}", f"command {command}")
    if loops:
        raise Refused(Reason.TRUNCATED, f"row {loops[0][0]}", "the sequence ends within a sketch")
    if not extrudes:
        raise Refused(Reason.NO_EXTRUDE, "", "the sequence holds no extrude")
    return Program(tuple(extrudes))


def _level(row: list[int], column: int, i: int) -> int:
    v = row[column]
    if not 0 <= v < LEVELS:
        raise Refused(Reason.BAD_NUMBER, f"row {i} column {column}", f"{v} is not one of {LEVELS} levels")
    return v


def _signed(row: list[int], column: int, i: int) -> float:
    return 2.0 * _level(row, column, i) / LEVELS - 1.0


def _extrude(row: list[int], loops: list[tuple[int, list[list[int]]]], i: int, first: bool) -> Extrude:
    operation_index, extent_kind = row[15], row[16]
    if not 0 <= operation_index < len(OPERATIONS):
        raise Refused(Reason.UNKNOWN_OPERATION, f"row {i}", f"operation {operation_index}")
    operation = OPERATIONS[operation_index]
    if first:
        if operation in (Operation.CUT, Operation.INTERSECT):
            raise Refused(Reason.FIRST_NOT_NEW, f"row {i}", f"the first extrude is a {operation.value}")
        operation = Operation.NEW
    e1 = _signed(row, 13, i)
    if extent_kind == ONE_SIDE:
        low, high = min(0.0, e1), max(0.0, e1)
    elif extent_kind == SYMMETRIC:
        low, high = -abs(e1), abs(e1)
    elif extent_kind == TWO_SIDES:
        e2 = _signed(row, 14, i)
        low, high = min(0.0, e1, -e2), max(0.0, e1, -e2)
    else:
        raise Refused(Reason.UNKNOWN_EXTENT, f"row {i}", f"extent type {extent_kind}")
    if high - low <= 0:
        raise Refused(Reason.ZERO_EXTENT, f"row {i}", "the extrude has length zero")
    scale = 2.0 * _level(row, 12, i) / LEVELS / CANVAS
    if scale <= 0:
        raise Refused(Reason.DEGENERATE_LOOP, f"row {i}", "the sketch has size zero")
    profiles = _profiles(loops, scale)
    sketch = Sketch(tuple(profiles), _plane(row, i))
    return Extrude(sketch, high, -low if low else 0.0, operation)


def _plane(row: list[int], i: int) -> Plane:
    theta, phi, gamma = (math.pi * _signed(row, c, i) for c in (6, 7, 8))
    st, ct, sp, cp = math.sin(theta), math.cos(theta), math.sin(phi), math.cos(phi)
    sg, cg = math.sin(gamma), math.cos(gamma)
    normal = st * cp, st * sp, ct
    # The reference x is (1, 0, 0) turned by theta about y, then by phi about z; gamma turns it about the normal.
    ref_x, ref_y = (ct * cp, ct * sp, -st), (-sp, cp, 0.0)
    x_dir = tuple(_clean(cg * a + sg * b) for a, b in zip(ref_x, ref_y, strict=True))
    origin = _signed(row, 9, i), _signed(row, 10, i), _signed(row, 11, i)
    try:
        return Plane(origin, (x_dir[0], x_dir[1], x_dir[2]), (_clean(normal[0]), _clean(normal[1]), _clean(normal[2])))
    except InputError as e:
        raise Refused(Reason.DEGENERATE_PLANE, f"row {i}", str(e)) from e


def _clean(v: float) -> float:
    """Return 0, 1 and -1 exactly where rounding of sine and cosine alone kept them from it."""
    nearest = round(v)
    return float(nearest) if abs(v - nearest) < 1e-12 else v


def _profiles(loops: list[tuple[int, list[list[int]]]], scale: float) -> list[Profile]:
    found, refused = [], None
    for at, rows in loops:
        try:
            found.append(closed(_curves(rows, at, scale), f"row {at}"))
        except Refused as e:
            # A hole that the quantisation has shrunk to nothing takes nothing away; an outline must stay.
            if e.reason is not Reason.DEGENERATE_LOOP:
                raise
            refused = refused or e
    if not found:
        assert refused is not None
        raise refused
    return nest(found)


def _curves(rows: list[list[int]], at: int, scale: float) -> list[Line | Arc | Circle]:
    if not rows:
        raise Refused(Reason.DEGENERATE_LOOP, f"row {at}", "a loop without curves")

    def xy(row: list[int], i: int) -> Point:
        return (_level(row, 1, i) - 128) * scale, (_level(row, 2, i) - 128) * scale

    out: list[Line | Arc | Circle] = []
    start = xy(rows[-1], at + len(rows))
    for k, row in enumerate(rows, at + 1):
        end = xy(row, k)
        if row[0] == CIRCLE:
            radius = _level(row, 5, k) * scale
            if radius <= 0:
                raise Refused(Reason.DEGENERATE_LOOP, f"row {k}", "a circle of radius zero")
            out.append(Circle(end, radius))
        elif start != end:
            sweep = 2 * math.pi * _level(row, 3, k) / LEVELS if row[0] == ARC else 0.0
            if sweep > 0:
                out.append(Arc(start, _middle(start, end, sweep, row[4]), end))
            else:
                out.append(Line(start, end))
        start = end
    return out


def _middle(start: Point, end: Point, sweep: float, flag: int) -> Point:
    """Return the middle of the arc of the given sweep (radians), counter-clockwise unless ``flag`` is 0."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    # Half the chord times tan(sweep / 4) is the height of the arc over its chord, also beyond a half circle.
    rise = 0.5 * math.tan(sweep / 4) * (-1.0 if flag == 0 else 1.0)
    return (start[0] + end[0]) / 2 + dy * rise, (start[1] + end[1]) / 2 - dx * rise
