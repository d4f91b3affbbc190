"""What became of one script: the record that every caller of the executor gets, whatever the script did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from cadcoder.sandbox.layers import strength

Status = Literal[
    "ok",
    "syntax_error",
    "exception",
    "no_result",
    "invalid_shape",
    "timeout",
    "memory",
    "crash",
    "output_limit",
    "denied",
    "harness_error",
]
STATUSES: tuple[Status, ...] = get_args(Status)

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one script.

    ``status`` is ``ok`` only if a process that never ran untrusted code read the geometry back and found valid, closed
    solids. ``harness_error`` is our fault, not the script's: leave such a row out of every rate.

    Attributes:
        status: One of ``STATUSES``.
        message: One line that says why it is not ``ok`` (or a remark on an ``ok`` one); may be empty.
        line: Line of the script (from 1) that the message is about, where known.
        seconds: Wall-clock seconds from start to verdict, measured outside the children.
        peak_mb: Peak resident memory of the script's process in MB (10^6 bytes) beyond what the warm process already
            held.
        volume: Volume in the script's unit cubed.
        bounds: ``((xmin, ymin, zmin), (xmax, ymax, zmax))`` of the exact shape, in the script's unit.
        n_solids: Number of solids.
        brep: The solids in OpenCascade's text BREP format, written by the judge and not by the script.
        vertices: (V, 3) float64, shared between triangles, so that the mesh of a valid solid is watertight.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        files: The exports asked for, by name (``step``, ``stl``, ``glb``).
        output: What the script printed to stdout and stderr, cut to a limit.
        result_name: The variable (or ``show_object``) that the solid was taken from.
        layers: The sandbox layers that were active.
    """

    status: Status
    message: str = ""
    line: int | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    volume: float | None = None
    bounds: Bounds | None = None
    n_solids: int | None = None
    brep: bytes | None = field(default=None, repr=False)
    vertices: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    faces: npt.NDArray[np.int32] | None = field(default=None, repr=False)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    output: str = field(default="", repr=False)
    result_name: str | None = None
    layers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether the script made valid solids."""
        return self.status == "ok"

    def to_json(self) -> dict[str, Any]:
        """Everything but the bytes and arrays, as plain data for ``json.dumps``."""
        return {
            "status": self.status,
            "message": self.message,
            "line": self.line,
            "seconds": round(self.seconds, 4),
            "peak_mb": round(self.peak_mb, 1),
            "volume": self.volume,
            "bounds": [list(corner) for corner in self.bounds] if self.bounds else None,
            "n_solids": self.n_solids,
            "n_vertices": None if self.vertices is None else len(self.vertices),
            "n_faces": None if self.faces is None else len(self.faces),
            "files": {name: len(data) for name, data in self.files.items()},
            "output": self.output,
            "result_name": self.result_name,
            "layers": list(self.layers),
            "sandbox": strength(self.layers),
        }
