"""Proof that a script builds its part, by running it, and what a script builds that is no program.

Every worker has an :class:`~cadcoder.sandbox.Executor` of its own, begun with the first script that it runs.
"""

from __future__ import annotations

import math
import tempfile
from functools import lru_cache
from multiprocessing.util import Finalize

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Program
from cadcoder.sandbox import Executor, Outcome
from dataset_build.readers.rejects import Reason, Refused

#: How a build proves its scripts. ``fast``: the text is read again, and what it says is built and compared; CadQuery
#: does not take part. ``executor``: that, and CadQuery runs the text. ``none``: neither.
MODES = ("fast", "executor", "none")
#: A script must build the solid of its program to at least this intersection over union.
FAITHFUL = 0.999
#: Seconds that a script may take, and again its measuring; a part that needs two runs stays below the pool's patience.
TIMEOUT = 10.0
#: Angle between facets, and distance from the surface by the diagonal, of meshes that tell two solids from one where
#: ordinary ones are too coarse: the facets of a thin tube's two meshes part where its wall does not.
FINE = ((math.pi / 90, 2e-5), (math.pi / 360, 1e-6))
#: The facets of the coarser two meshes lie together no farther from the surface than this fraction of the diagonal.
OFF = 2e-4
#: A wall of a hundredth of its radius is too thin for the finest of them: it needs this much, and the exact volume.
NEARLY, SAME_VOLUME = 0.998, 1e-3


def run(code: str) -> tuple[Solid, Outcome]:
    """Return the solid that a script makes, and the executor's outcome.

    Raises:
        Refused: ``CODE_FAILS`` where it makes none, ``INTERNAL`` where that is not the script's fault.
    """
    outcome = _executor().run(code, exports=())
    if outcome.status == "harness_error":
        raise Refused(Reason.INTERNAL, "", outcome.message)
    if not outcome.ok:
        place = f"line {outcome.line}" if outcome.line else ""
        raise Refused(Reason.CODE_FAILS, place, f"{outcome.status}: {outcome.message}")
    try:
        if outcome.vertices is None or outcome.faces is None:
            raise InputError("the executor gave no triangles")
        return Solid(outcome.vertices, outcome.faces), outcome
    except InputError:
        return _meshed(outcome, *FINE[0]), outcome


def prove(code: str, program: Program, solid: Solid) -> None:
    """Run a script and compare what it makes with its program.

    Args:
        code: the script.
        program: what it is meant to build, in the script's unit.
        solid: what the program builds.

    Raises:
        Refused: ``CODE_FAILS``, ``CODE_DIFFERS`` or ``INTERNAL``.
    """
    made, outcome = run(code)
    if made.iou(solid) >= FAITHFUL:
        return
    # Two meshes of one round thing differ by more than that; finer ones do not.
    for angle, linear in FINE:
        mine = _built(program, angle)
        reached = _meshed(outcome, angle, linear).iou(mine)
        if reached >= FAITHFUL:
            return
        if _apart(reached, mine, FAITHFUL):
            break
    if reached >= NEARLY and math.isclose(outcome.volume or 0.0, mine.volume, rel_tol=SAME_VOLUME):
        return
    raise Refused(Reason.CODE_DIFFERS, "", f"CadQuery makes another solid of the script: IoU {reached:.4f}")


def compare_step(step: bytes, solid: Solid, program: Program | None, least: float) -> None:
    """Compare a part with the STEP that lies beside it, in place and in the same unit.

    Raises:
        Refused: ``CODE_DIFFERS``, or ``UNREADABLE`` where the STEP holds no solid.
    """
    from cadcoder.geometry import occ

    try:
        with tempfile.NamedTemporaryFile(suffix=".step") as file:  # OpenCascade reads by name only
            file.write(step)
            file.flush()
            shape = occ.read_step(file.name)
            for angle, linear in FINE:
                theirs = occ.mesh_shape(shape, angle, linear)
                reached = theirs.iou(solid if program is None else _built(program, angle))
                if reached >= least:
                    return
                if _apart(reached, theirs, least):
                    break
    except InputError as e:
        raise Refused(Reason.UNREADABLE, "step", str(e).replace(file.name, "the STEP")) from e
    raise Refused(Reason.CODE_DIFFERS, "step", f"the STEP is another solid: IoU {reached:.4f}, not {least:g}")


def ready() -> None:
    """Begin this process's executor.

    Raises:
        SandboxUnavailable: if this machine cannot have one.
    """
    _executor()


def _apart(reached: float, solid: Solid, least: float) -> bool:
    """Whether two solids that agree so well as meshes differ by more than facets can explain: finer ones are dear."""
    facets = OFF * float(np.linalg.norm(solid.extents)) * solid.area / solid.volume
    return reached + facets < least


def _meshed(outcome: Outcome, angle: float, linear: float) -> Solid:
    from cadcoder.geometry import occ

    try:
        return occ.mesh_shape(occ.read_brep(outcome.brep or b""), angle, linear)
    except InputError as e:
        raise Refused(Reason.CODE_FAILS, "", f"what it makes has no closed mesh: {e}") from e


def _built(program: Program, angle: float) -> Solid:
    try:
        return build(program, arc_step=angle)
    except InputError as e:
        raise Refused(Reason.BUILD_FAILED, "", str(e)) from e


@lru_cache(maxsize=1)
def _executor() -> Executor:
    executor = Executor(workers=1, timeout=TIMEOUT)
    Finalize(None, executor.close, exitpriority=10)  # workers end without atexit
    return executor
