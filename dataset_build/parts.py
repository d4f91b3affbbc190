"""What a source gives: parts by number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from cadcoder.geometry.solid import Solid
from cadcoder.program.types import Program
from dataset_build.readers.features import Box
from dataset_build.readers.rejects import Reject


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it was read or drawn.

    Attributes:
        program: in the unit of its source; None where the source is a script that says more than a program can.
        source: for the column of that name.
        seed: what the synthesiser was given; -1 for real parts.
        box: what the source says the part's box is, where it says so.
        synthetic: whether it is in canonical form and on a grid already.
        solid: what the program builds, where that is known already.
        code: the script that the source holds, where it holds one.
        picture: the source's own picture of the part (a PNG or JPEG file), where it is to be kept.
        framed: whether that picture is in the frame of the GenCAD renders.
        step: the part as a STEP file, where the source has one beside the script.
        step_iou: least intersection over union of the script's solid and the STEP's.
        dialect: what its script is written in, one of :data:`cadcoder.program.emit.DIALECTS`.
    """

    program: Program | None
    source: str
    seed: int = -1
    box: Box | None = None
    synthetic: bool = False
    solid: Solid | None = field(default=None, compare=False, repr=False)
    code: str = ""
    picture: bytes | None = field(default=None, repr=False)
    framed: bool = False
    step: bytes | None = field(default=None, repr=False)
    step_iou: float = 0.999
    dialect: str = "plain"


class Source(Protocol):
    """A numbered set of parts; it is sent to the workers, which ask for the parts by number."""

    def __len__(self) -> int:
        """Return how many parts there are."""
        ...

    def name(self, index: int) -> str:
        """Return what a reject calls part ``index``."""
        ...

    def part(self, index: int) -> Part | Reject:
        """Return part ``index``; never raises for what the source holds."""
        ...


@dataclass(frozen=True, slots=True)
class InDialect:
    """A source whose scripts are written in another dialect than ``plain``."""

    source: Source
    dialect: str

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """Return what a reject calls part ``index``."""
        return self.source.name(index)

    def part(self, index: int) -> Part | Reject:
        """Return part ``index``."""
        part = self.source.part(index)
        return part if isinstance(part, Reject) else replace(part, dialect=self.dialect)
