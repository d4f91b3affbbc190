"""Why an input did not become a sample: a closed list of reasons, with the file and the place in it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

#: Larger source files are refused unread (the largest published DeepCAD JSON is a few MB).
MAX_BYTES = 64 * 2**20


class Reason(enum.StrEnum):
    """Every reason for which an input is refused."""

    UNREADABLE = "unreadable"  # not there, no permission, not the container that the format asks for
    TOO_LARGE = "too_large"
    UNSAFE = "unsafe"  # a link in an archive, or a name that leads out of it
    MALFORMED = "malformed"  # a field is missing or has the wrong type or shape
    BAD_NUMBER = "bad_number"  # not finite, or outside the range of the format
    UNKNOWN_COMMAND = "unknown_command"
    UNKNOWN_CURVE = "unknown_curve"
    UNKNOWN_OPERATION = "unknown_operation"
    UNKNOWN_EXTENT = "unknown_extent"
    DANGLING_REFERENCE = "dangling_reference"  # names a sketch or profile that the file does not hold
    TRUNCATED = "truncated"  # the sequence ends within a sketch
    NO_EXTRUDE = "no_extrude"
    FIRST_NOT_NEW = "first_not_new"  # the first extrude cuts or intersects
    OPEN_LOOP = "open_loop"
    DEGENERATE_LOOP = "degenerate_loop"  # encloses no area
    DEGENERATE_PLANE = "degenerate_plane"
    ZERO_EXTENT = "zero_extent"
    TAPER = "taper"
    START_OFFSET = "start_offset"
    BOX_DIFFERS = "box_differs"  # the solid's box is not the one that the file states
    BUILD_FAILED = "build_failed"  # no closed solid comes of it
    CODE_DIFFERS = "code_differs"  # the script written for it builds another solid
    CODE_FAILS = "code_fails"  # the script does not run
    BAD_PICTURE = "bad_picture"  # the source's own picture is missing or broken
    OTHER_SPLIT = "other_split"  # the split file has it in another split than the one asked for, or not at all
    HELD_OUT = "held_out"  # looks like a part that must not be in the set
    DUPLICATE = "duplicate"  # the same script, or the same shape, is in the set already
    RENDER_FAILED = "render_failed"
    INTERNAL = "internal"  # a fault of ours: an error that none of our functions declares
    CRASHED = "crashed"  # its worker died or was stopped for taking too long


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that did not become a sample.

    Attributes:
        reason: one of the closed list.
        file: the source file.
        place: where in it, for example ``"entities/F1/profiles/JGC/loops/0"`` or ``"row 12"``.
        detail: one line for a person.
    """

    reason: Reason
    file: str
    place: str = ""
    detail: str = ""


class Refused(Exception):
    """Raised inside a reader and turned into a :class:`Reject` at its border; never leaves this package."""

    def __init__(self, reason: Reason, place: str = "", detail: str = "") -> None:
        super().__init__(f"{reason.value} at {place}: {detail}")
        self.reason, self.place, self.detail = reason, place, detail

    def at(self, file: str) -> Reject:
        """Return the reject that this refusal means for ``file``."""
        return Reject(self.reason, file, self.place, self.detail[:300])


def read_bytes(path: Path) -> bytes:
    """Return the file's content.

    Raises:
        Refused: ``UNREADABLE`` or ``TOO_LARGE``.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise Refused(Reason.TOO_LARGE, "", f"{size} bytes; the limit is {MAX_BYTES}")
        return path.read_bytes()
    except OSError as e:
        raise Refused(Reason.UNREADABLE, "", e.strerror or str(e)) from e
