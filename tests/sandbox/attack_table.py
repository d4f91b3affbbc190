"""Writes the attack table into docs/sandbox.md: every attack, by layer, stopped or not.

    python tests/sandbox/attack_table.py [--print]

Runs all attacks in the executor with all layers, again as in a container that allows no namespaces, and every attack on
which a layer has a word with each layer alone and with none. Takes some minutes. What is between the two marks in the
document is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox_attacks import ATTACKS
from test_sandbox_ablation import HARNESS
from test_sandbox_hostile import NAMESPACES, WORKERS

from cadcoder.sandbox.layers import LAYERS

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "sandbox.md"
BEGIN, END = "<!-- attack table: begin -->", "<!-- attack table: end -->"
SYMBOLS = {True: "x", False: ""}


def executor_rows(without: tuple[str, ...]) -> dict[str, Any]:
    """What the executor made of every attack."""
    with tempfile.TemporaryDirectory() as outside:
        job = {"names": list(ATTACKS), "outside": outside, "without": without, "workers": WORKERS, "timeout": 2.5}
        text = json.dumps(job)
        done = subprocess.run(
            [sys.executable, HERE / "sandbox_runner.py"], input=text, capture_output=True, text=True, check=True
        )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def alone() -> dict[tuple[str, str | None], str | None]:
    """How each attack was seen to work under each layer alone (None: it was stopped), and under none."""
    names = [name for name, attack in ATTACKS.items() if attack.alone]
    jobs = [(name, layer) for name in names for layer in (None, *LAYERS)]
    text = json.dumps([[name, [layer] if layer else []] for name, layer in jobs])
    done = subprocess.run([sys.executable, HARNESS], input=text, capture_output=True, text=True, check=True)
    return dict(zip(jobs, json.loads(done.stdout), strict=True))


def stopped(row: dict[str, Any], name: str) -> bool:
    """Whether an outcome is one that the attack may have."""
    return row["status"] in ATTACKS[name].expect


def tables(full: dict[str, Any], reduced: dict[str, Any], found: dict[tuple[str, str | None], str | None]) -> str:
    """The text between the marks."""
    lines = [
        f"{len(ATTACKS)} attacks; with all {len(LAYERS)} layers "
        f"{sum(stopped(full['rows'][n], n) for n in ATTACKS)} fail, without namespaces (Landlock, seccomp and the "
        f"plain layers alone) {sum(stopped(reduced['rows'][n], n) for n in ATTACKS)}. Left behind: nothing, in both "
        f"({full['processes']} processes standing, {len(full['zombies'])} zombies, servers reached: "
        f"{len(full['reached'])}; things changed outside: {len(full['changed'])}). "
        f"Kernel {os.uname().release}, {os.uname().machine}, as {'root' if os.geteuid() == 0 else 'an ordinary user'}.",
        "",
        "### Against one layer alone",
        "",
        "`x`: this layer by itself stops the attack. *none*: what the attack reaches with no layer at all (`-`: "
        "nothing, for want of a power or a part of the kernel here; then the row shows nothing about the layers).",
        "",
        "| attack | all | no ns | none | " + " | ".join(LAYERS) + " |",
        "|---" * (len(LAYERS) + 4) + "|",
    ]
    for name in [n for n in ATTACKS if ATTACKS[n].alone]:
        control = found[name, None]
        cells = [SYMBOLS[control is not None and found[name, layer] is None] for layer in LAYERS]
        head = [outcome(full, name), outcome(reduced, name), control or "-"]
        lines.append("| " + " | ".join([f"`{name}`", *head, *cells]) + " |")
    lines += [
        "",
        "### Against the three roles",
        "",
        "What these attacks try is met by the deadline, by limits, by the strict frames, by the judge's own look at "
        "the geometry, or by the process that a script has for itself.",
        "",
        "| attack | tries | all layers | no namespaces |",
        "|---|---|---|---|",
    ]
    for name in [n for n in ATTACKS if not ATTACKS[n].alone]:
        lines.append(f"| `{name}` | {ATTACKS[name].what} | {outcome(full, name)} | {outcome(reduced, name)} |")
    return "\n".join(lines)


def outcome(report: dict[str, Any], name: str) -> str:
    """The outcome of one attack, in words."""
    row = report["rows"][name]
    return str(row["status"]) if stopped(row, name) else f"**works** ({row['status']})"


def main() -> None:
    """Run everything and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", dest="show", help="Print it in place of writing it.")
    options = parser.parse_args()
    text = tables(executor_rows(()), executor_rows(NAMESPACES), alone())
    if options.show:
        print(text)
        return
    document = DOCUMENT.read_text()
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
