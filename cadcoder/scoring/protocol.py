"""Old numbers beside the correct ones: a part measured as CAD-Coder's published evaluator does, faults included.

:mod:`cadcoder.geometry.published` says what it does. It runs in the executor, because it opens geometry that untrusted
code made with OpenCascade in full; it takes about 1.3 processor seconds a pair, and far more for some.
"""

from __future__ import annotations

import base64
import inspect
import json
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cadcoder.errors import ConfigError
from cadcoder.scoring.truths import Truth

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor, Outcome
    from cadcoder.scoring.rows import Row, Task

#: Protocols by name, and the measure that each adds to a row.
PROTOCOLS = {"cad-coder": "iou_cad_coder"}
#: Seconds for a pair; the slowest of the reference pairs took 53 on a busy machine.
SECONDS = 180.0

_MASS, _IOU = "cadcoder-mass ", "cadcoder-iou "

#: Appended to a script: the mass properties of its part to the last bit, which a file does not keep.
_REPORT = """


def _cadcoder_report(part):
    import json
    names = {{}}
    exec({source!r}, names)
    part = part.val() if hasattr(part, "val") else part
    print("\\n{mark}" + json.dumps(names["mass"](part)), flush=True)


_cadcoder_report({name})
"""

#: Appended to the text of ``published.py``: reads both parts, checks the mass properties, measures.
_COMPARE = """

def _cadcoder_compare():
    import base64, io, json, zlib
    import cadquery as cq
    import numpy as np

    def read(data, kind):
        data = zlib.decompress(base64.b64decode(data))
        if kind == "step":
            with open("part.step", "wb") as file:
                file.write(data)
            return cq.importers.importStep("part.step").val()
        return cq.Shape.importBrep(io.BytesIO(data))

    made, truth = read(*{made}), read(*{truth})
    given = json.loads({given!r})
    if given is not None:
        own = mass(made)
        scale = abs(np.array(own[2])).max()
        same = abs(given[0] - own[0]) < 1e-9 * own[0] and np.allclose(given[2], own[2], rtol=0, atol=1e-9 * scale)
        given = given if same and np.allclose(given[1], own[1], rtol=0, atol=1e-9 * (scale / own[0]) ** 0.5) else None
    print("\\n{mark}" + repr(float(published_iou(made, truth, given))), flush=True)


_cadcoder_compare()
"""


class Published:
    """Measures pairs as a published evaluator does; use it as a context manager.

    Args:
        name: one of ``PROTOCOLS``.
        executor: runs scripts, for their mass properties to the last bit.
        workers: pairs measured at once.
        seconds: wall-clock limit for a pair.

    Raises:
        ConfigError: if there is no such protocol.
    """

    def __init__(self, name: str, executor: Executor, workers: int = 2, seconds: float = SECONDS) -> None:
        from cadcoder.sandbox import Executor

        if name not in PROTOCOLS:
            raise ConfigError(f"there is no protocol {name}; there is {', '.join(PROTOCOLS)}")
        self.name, self.metric, self.workers = name, PROTOCOLS[name], workers
        self._scripts = executor
        self._long = Executor(workers=workers, timeout=seconds, memory_mb=4096)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="cadcoder-protocol")
        self._long.run("", exports=(), mesh=False)  # its start would else take time from the first scripts

    def __enter__(self) -> Published:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._long.close()

    def submit(self, row: Row, task: Task, outcome: Outcome | None, truth: Truth) -> Future[Row]:
        """Begin to measure a pair; the result is the row with the measure, or with a note why there is none."""
        return self._threads.submit(self._add, row, task, outcome, truth)

    def _add(self, row: Row, task: Task, outcome: Outcome | None, truth: Truth) -> Row:
        value, why = self.measure(task, outcome, truth)
        if value is None:
            return row | {"notes": [*row["notes"], f"{self.name}: {why}"]}
        return row | {"metrics": row["metrics"] | {self.metric: value}}

    def measure(self, task: Task, outcome: Outcome | None, truth: Truth) -> tuple[float | None, str]:
        """Return (the measure, "") or (None, why there is none)."""
        made = _file(task.made) if task.made is not None else _packed(outcome.brep if outcome else None)
        true = _packed(truth.brep) if truth.brep is not None else _file(task.truth)
        if made is None or true is None:
            return None, "it needs exact parts (STEP, BREP or a script), not meshes"
        given = self._mass(task.code, outcome) if outcome is not None else None
        tail = _COMPARE.format(made=made, truth=true, given=json.dumps(given), mark=_IOU)
        code = _source() + tail
        if len(code) > self._long.limits.code_bytes:
            return None, "the exact parts are too large for it"
        done = self._long.run(code, exports=(), mesh=False)
        value = _marked(done.output, _IOU)
        if value is None:
            reason = "OpenCascade fails" if done.status == "no_result" else f"{done.status}: {done.message}"
            return None, f"it gives no number ({reason})"
        return float(value), ""

    def _mass(self, code: str | None, outcome: Outcome) -> Any:
        """Return the part's mass properties where the script ran, or None.

        They come from untrusted code; the comparison takes them only if they are the part's own but for rounding, so
        all that a script can choose by them is which axes stand for equal moments.
        """
        if code is None or outcome.result_name in (None, "show_object"):
            return None
        report = _REPORT.format(source=_source(), mark=_MASS, name=outcome.result_name)
        return _marked(self._scripts.run(code + report, exports=(), mesh=False).output, _MASS)


def _source() -> str:
    from cadcoder.geometry import published

    return Path(inspect.getfile(published)).read_text(encoding="utf-8")


def _packed(brep: bytes | None) -> tuple[str, str] | None:
    return (base64.b64encode(zlib.compress(brep, 9)).decode(), "brep") if brep else None


def _file(path: Path) -> tuple[str, str] | None:
    from cadcoder.geometry.read import BREP_SUFFIXES, STEP_SUFFIXES

    kind = path.suffix.lower()
    if kind not in STEP_SUFFIXES + BREP_SUFFIXES:
        return None
    data = base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()
    return data, "step" if kind in STEP_SUFFIXES else "brep"


def _marked(output: str, mark: str) -> Any:
    """Return the JSON after the last line's mark in what a script printed, or None."""
    for line in reversed(output.splitlines()):
        if line.startswith(mark):
            try:
                return json.loads(line[len(mark) :])
            except ValueError:
                return None
    return None
