"""A finished part: the script, what it builds, and the files it can become."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cadcoder.errors import InputError, NoValidScript
from cadcoder.files import write_bytes
from cadcoder.sizes import UNITS

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.geometry.solid import Solid
    from cadcoder.pictures import Picture
    from cadcoder.program import Program
    from cadcoder.refine.poses import Guess
    from cadcoder.render.camera import Camera
    from cadcoder.sandbox import Outcome

#: Runs a script and returns its outcome with the exports that are named (``step``, ``stl``, ``glb``).
Run = Callable[[str, "tuple[str, ...]"], "Outcome"]

#: Where a script's structure comes from.
Origin = Literal["model", "bank", "shape"]

#: File suffix -> name of the executor's export.
EXPORTS = {".step": "step", ".stp": "step", ".stl": "stl", ".glb": "glb"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """One script that the model wrote, and what became of it.

    Attributes:
        code: as the model wrote it.
        outcome: of running it in the executor.
        solid: what it built, in its own unit; None unless the outcome is ok.
        guess: how alike it and the pictures are, and from where; None where it built nothing.
        exact: the same likeness pixel by pixel, which then decides; None where the pictures cannot be compared so.
    """

    code: str
    outcome: Outcome
    solid: Solid | None = None
    guess: Guess | None = None
    exact: float | None = None

    @property
    def likeness(self) -> float | None:
        """To the picture, from 0 to 1; None where it built nothing."""
        return self.guess.likeness if self.guess else None

    @property
    def merit(self) -> float:
        """What candidates are chosen by; -1 where it built nothing."""
        if self.solid is None:
            return -1.0
        return self.likeness or 0.0 if self.exact is None else self.exact

    def to_json(self) -> dict[str, Any]:
        """Return the row of ``--json``: code, outcome, message and likeness."""
        return {
            "code": self.code,
            "outcome": self.outcome.status,
            "message": self.outcome.message,
            "likeness": self.likeness,
        }


class NothingRuns(NoValidScript):
    """None of the candidates built anything."""

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        """Say why, shortly; ``candidates`` holds the rest."""
        self.candidates = candidates
        reasons = list(dict.fromkeys(describe(c.outcome) for c in candidates))
        more = f" (and {len(reasons) - 3} more reasons)" if len(reasons) > 3 else ""
        what = f"none of the {len(candidates)} scripts that the model wrote runs: {'; '.join(reasons[:3])}{more}"
        super().__init__(f"{what}; try another --seed, more --candidates, or a clearer picture")


@dataclass(frozen=True, eq=False)
class Part:
    """What a picture became.

    Attributes:
        code: a CadQuery script that has run in the executor just as it stands here.
        solid: the closed mesh that it builds, in ``unit``.
        outcome: of that run, with the exact shape as BREP text in ``outcome.brep``.
        unit: the unit of the script's numbers; without ``size`` the longest side of a part is 100.
        likeness: of the solid to the picture, from 0 to 1.
        style: how the script is written (``editable``, ``plain`` or ``raw``), which may be a plainer one than
            was asked for where that one could not be proven equal.
        candidates: everything that the model wrote for the picture, in order, without repetitions.
        chosen: index into ``candidates``; None where none of them runs and a program of the bank was taken.
        origin: whose the script's structure is: ``model``, ``bank`` (a program of the checkpoint's bank was fitted to
            the picture) or ``shape`` (a simple shape was).
        model: name of the model.
        seed: what the candidates were sampled with.
        seconds: from the picture to the finished part.
        cameras: where each picture was taken from, as far as can be told.
        first: the guess that the script was fitted from, with its likeness and cameras; the script itself where
            nothing was fitted.
    """

    code: str
    solid: Solid
    outcome: Outcome
    unit: str = "mm"
    likeness: float | None = None
    style: str = "raw"
    candidates: tuple[Candidate, ...] = ()
    chosen: int | None = 0
    origin: Origin = "model"
    model: str = ""
    seed: int = 0
    seconds: float = 0.0
    cameras: tuple[Camera, ...] = ()
    first: Guess | None = field(default=None, repr=False)
    run: Run | None = field(default=None, repr=False)

    @property
    def extents(self) -> tuple[float, float, float]:
        """Side lengths of the exact shape's axis-aligned box, in ``unit``."""
        return exact_extents(self.outcome, self.solid)

    @cached_property
    def program(self) -> Program | None:
        """The script as data, or None where it says more than a sketch-extrude program can."""
        from cadcoder.program.parse import parse

        try:
            return parse(self.code)
        except InputError:
            return None

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the part to a file whose suffix says what: .py, .step, .stl, .glb, .brep or .png.

        STEP, STL and GLB are written by the executor from the exact shape, in millimetres whatever the script's
        unit; BREP and PNG are of the script as it stands. The file appears whole or not at all.

        Raises:
            InputError: for a suffix that is not known or a folder that cannot be written to.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix == ".py":
            data = self.code.encode()
        elif suffix == ".png":
            data = self._repr_png_()
        elif suffix == ".brep":
            data = self.outcome.brep or b""
        elif suffix in EXPORTS:
            data = self.exported(EXPORTS[suffix])[EXPORTS[suffix]]
        else:
            known = ", ".join([".py", ".png", ".brep", *EXPORTS])
            raise InputError(f"{target}: no export is known for the suffix {suffix!r}; use one of {known}")
        write_bytes(target, data)
        return target

    def exported(self, *kinds: str) -> dict[str, bytes]:
        """Return the bytes of exports by name (``step``, ``stl``, ``glb``), in millimetres.

        Raises:
            InputError: if one could not be made.
        """
        from cadcoder.rewrite import rescaled

        code = self.code
        if UNITS[self.unit] != 1.0:
            code = rescaled(code, UNITS[self.unit], self.outcome.result_name)
        return run_exports(code, kinds, self.run)

    def explain(self, *pictures: Picture) -> Image.Image:
        """Return a sheet with a row a picture: input, first guess, final part, and where they differ.

        Args:
            pictures: those that the part was made from, in order.

        Raises:
            InputError: if these are not as many.
        """
        from cadcoder.pictures import load
        from cadcoder.refine.explain import explain

        if len(self.cameras) != len(pictures):
            raise InputError(f"the part was made from {len(self.cameras)} pictures, not {len(pictures)}")
        solid = self.solid
        if self.program is not None:  # its own faces have the edges that a picture of a CAD model shows
            from cadcoder.geometry.build import build

            solid = build(self.program)
        return explain([load(one) for one in pictures], solid, self.cameras, self.first, self.origin)

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints for a part."""
        from cadcoder.refine.poses import pose_of

        return {
            "outcome": self.outcome.status,
            "code": self.code,
            "style": self.style,
            "unit": self.unit,
            "extents": list(self.extents),
            "likeness": self.likeness,
            "chosen": self.chosen,
            "origin": self.origin,
            "first_likeness": self.first.likeness if self.first else None,
            "cameras": [pose_of(camera).to_json() for camera in self.cameras],
            "candidates": [c.to_json() for c in self.candidates],
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "seed": self.seed,
            "layers": list(self.outcome.layers),
        }

    def _repr_png_(self) -> bytes:
        return draw_png(self.solid)

    def __repr__(self) -> str:
        x, y, z = (f"{v:.4g}" for v in self.extents)
        return f"Part({x} x {y} x {z} {self.unit}, {len(self.code.splitlines())} lines, {self.style})"


def run_exports(code: str, kinds: tuple[str, ...], run: Run | None = None) -> dict[str, bytes]:
    """Run a script and return its exports by name.

    Args:
        code: the script.
        kinds: of ``step``, ``stl`` and ``glb``.
        run: where to run it; without one an executor is opened for this script alone.

    Raises:
        InputError: if the script does not run, or an export is missing.
    """
    if run is None:
        from cadcoder.sandbox import Executor

        with Executor(workers=1, many=False) as executor:
            outcome = executor.run(code, exports=kinds)
    else:
        outcome = run(code, kinds)
    if not outcome.ok:
        raise InputError(f"the part cannot be exported: {describe(outcome)}")
    missing = [k for k in kinds if not outcome.files.get(k)]
    if missing:
        raise InputError(f"the part cannot be exported as {', '.join(missing)}: {outcome.message or 'no file came'}")
    return {k: outcome.files[k] for k in kinds}


def exact_extents(outcome: Outcome, solid: Solid) -> tuple[float, float, float]:
    """Return the side lengths of the exact shape's box, or of the mesh's, which chords make a little smaller."""
    if outcome.bounds is None:
        x, y, z = (float(v) for v in solid.extents)
        return x, y, z
    low, high = outcome.bounds
    return high[0] - low[0], high[1] - low[1], high[2] - low[2]


def describe(outcome: Outcome) -> str:
    """Return an outcome as a phrase: what happened, where, and why."""
    what = outcome.status.replace("_", " ")
    where = f" in line {outcome.line}" if outcome.line else ""
    why = " ".join(outcome.message.split())
    return f"{what}{where}: {why}" if why else what + where


def draw_png(solid: Solid) -> bytes:
    """Return a PNG of a solid in the look of the training pictures, 448 x 448."""
    from PIL import Image

    from cadcoder.render.gencad import render_gencad

    out = io.BytesIO()
    Image.fromarray(render_gencad(solid)).save(out, "PNG", optimize=True)
    return out.getvalue()
