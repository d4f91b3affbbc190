"""CadQuery scripts as a source: a folder or an archive of them, with pictures and STEP files beside them or not.

``a/b.py`` is a part; ``a/b.png`` (or ``.jpg``) is its picture and ``a/b.step`` (or ``.stp``) the solid that it is meant
to be. A script that :func:`cadcoder.program.parse` reads is a program like any other. One that says more than that is
run in the executor and kept as it is (:mod:`dataset_build.verify`), with an empty ``program``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from cadcoder.errors import ConfigError, InputError
from cadcoder.program import parse
from dataset_build.parts import Part
from dataset_build.readers.containers import Container, Entry, open_container, shown
from dataset_build.readers.images import checked_picture
from dataset_build.readers.rejects import Reason, Refused, Reject

SCRIPT = ".py"
PICTURES = (".png", ".jpg", ".jpeg")
STEPS = (".step", ".stp")
#: A longer script is no training sample of any model.
MAX_SCRIPT = 200_000


@dataclass(frozen=True, slots=True)
class Scripts:
    """Scripts and what lies beside them.

    Attributes:
        container: where they are.
        groups: for each part the numbers of its script, picture and STEP in the container; -1 where there is none.
        keep_pictures: whether a picture beside a script takes the place of a drawing of ours.
        step_iou: what a script's solid must reach against the STEP beside it.
    """

    container: Container
    groups: tuple[tuple[int, int, int], ...]
    keep_pictures: bool
    step_iou: float

    def __len__(self) -> int:
        return len(self.groups)

    def name(self, index: int) -> str:
        """Return the script's path."""
        return shown(self._entry(self.groups[index][0]).name)

    def part(self, index: int) -> Part | Reject:
        """Read the script and what is beside it."""
        script, picture, step = self.groups[index]
        name = self.name(index)
        try:
            part = script_part(self.container.read(self._entry(script)), f"scripts/{name}")
            if picture >= 0 and self.keep_pictures:
                part = replace(part, picture=checked_picture(self.container.read(self._entry(picture)), "picture"))
            if step >= 0:
                part = replace(part, step=self.container.read(self._entry(step)), step_iou=self.step_iou)
        except Refused as e:
            return e.at(name)
        return part

    def _entry(self, number: int) -> Entry:
        return self.container.entries[number]


def script_part(raw: bytes | str, source: str) -> Part:
    """Return the part of a script's text: a program where it can be read as one, else the text alone.

    Raises:
        Refused: ``MALFORMED`` or ``TOO_LARGE``.
    """
    if len(raw) > MAX_SCRIPT:
        raise Refused(Reason.TOO_LARGE, "", f"a script of {len(raw)} bytes; the limit is {MAX_SCRIPT}")
    try:
        code = raw if isinstance(raw, str) else raw.decode("utf-8")
        code.encode("utf-8")
    except UnicodeError as e:
        raise Refused(Reason.MALFORMED, "", f"not UTF-8: {e}") from e
    if not code.strip():
        raise Refused(Reason.MALFORMED, "", "the script is empty")
    if "\0" in code:
        raise Refused(Reason.MALFORMED, "", "the script holds a null byte")
    try:
        return Part(parse(code), source, code=code)
    except InputError:
        return Part(None, source, code=code)


def open_scripts(path: Path, count: int | None, keep_pictures: bool = False, step_iou: float = 0.999) -> Scripts:
    """Return the scripts of a folder, an archive, or a single one.

    Raises:
        ConfigError: if there are none.
    """
    found = open_container(path, lambda name: name.lower().endswith((SCRIPT, *PICTURES, *STEPS)))
    beside: dict[tuple[str, str], int] = {}
    for i, entry in enumerate(found.entries):
        where = PurePosixPath(entry.name)
        for kind, suffixes in (("picture", PICTURES), ("step", STEPS)):
            if where.suffix.lower() in suffixes:
                beside.setdefault((kind, str(where.with_suffix(""))), i)
    groups = []
    for i, entry in enumerate(found.entries):
        where = PurePosixPath(entry.name)
        damage = bool(entry.refused) and where.suffix.lower() not in (*PICTURES, *STEPS)
        if where.suffix.lower() == SCRIPT or damage:
            stem = str(where.with_suffix(""))
            groups.append((i, beside.get(("picture", stem), -1), beside.get(("step", stem), -1)))
    if not groups:
        raise ConfigError(f"--input: {path} holds no file that ends in {SCRIPT}")
    return Scripts(found, tuple(groups[:count]), keep_pictures, step_iou)
