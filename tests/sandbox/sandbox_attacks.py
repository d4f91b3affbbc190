"""The hostile scripts of attacks/: what their first lines say, and the names in them filled in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "attacks"
#: Printed by a program that an attack managed to start.
WORKED = "ATTACK-" + "WORKED"
#: The text of a file that nobody may read.
SECRET = "secret"
#: A variable of the environment of the caller.
CANARY = "CADCODER_CANARY"


@dataclass(frozen=True)
class Attack:
    """One script.

    Its first line says what it tries, the second (``# expect:``) which outcomes are right. ``# alone:`` names the
    layers each of which stops it by itself, ``# parent: dies`` that it is about what happens when its parent is gone,
    and ``# volume:`` that it leaves a valid part of that volume, whatever it claims.
    """

    name: str
    what: str
    expect: tuple[str, ...]
    alone: tuple[str, ...]
    parent_dies: bool
    volume: float | None
    text: str

    def code(self, **names: object) -> str:
        """The script with ``@OUTSIDE@`` and so on filled in."""
        text = self.text
        for name, value in {**names, "WORKED": WORKED, "LONG": "x = 1\n" * 200_000}.items():
            text = text.replace(f"@{name.upper()}@", str(value))
        return text


def read(path: Path) -> Attack:
    lines = path.read_text().split("\n")
    head = dict(line[2:].split(": ", 1) for line in lines[1:6] if line.startswith("# ") and ": " in line)
    volume = head.get("volume")
    return Attack(
        path.stem,
        lines[0].removeprefix("# "),
        tuple(head["expect"].split()),
        tuple(head.get("alone", "").split()),
        head.get("parent") == "dies",
        float(volume) if volume else None,
        "\n".join(lines),
    )


ATTACKS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.py"))}
