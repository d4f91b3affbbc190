"""The script in an answer, whatever is around it."""

from __future__ import annotations

import json

import pytest

from eval.extract import extract
from eval.hosted import read_reply

CODE = 'import cadquery as cq\n\nresult = cq.Workplane("XY").box(1, 2, 3)'
OTHER = 'import cadquery as cq\n\nresult = cq.Workplane("XY").box(9, 9, 9)'


@pytest.mark.parametrize(
    "answer",
    [
        CODE,
        f"```python\n{CODE}\n```",
        f"```\n{CODE}\n```",
        f"~~~py\n{CODE}\n~~~",
        f"Sure! Here it is:\n\n```python\n{CODE}\n```\n\nIt is a box.",
        f"Here is the code:\n\n{CODE}\n\nThis makes a box of 1 x 2 x 3.",
        f"```python\r\n{CODE}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"<think>\n```python\n{OTHER}\n```\nNo, wrong.</think>\n```python\n{CODE}\n```",
        f"First:\n```python\n{OTHER}\n```\nBut it should be smaller:\n```python\n{CODE}\n```",
        f"Install it:\n```bash\npip install cadquery\n```\nThen:\n```python\n{CODE}\n```\n```text\nVolume: 6\n```",
        f"```python\n{CODE}",
        f"1. Code\n\n   ```python\n{chr(10).join('   ' + line for line in CODE.splitlines())}\n   ```",
        json.dumps({"code": CODE}),
        json.dumps({"code": f"```python\n{CODE}\n```"}),
        f"````markdown\n{CODE}\n````",
        f"\ufeff{CODE}\n",
    ],
)
def test_the_script_is_found(answer: str) -> None:
    found = extract(answer)
    assert found is not None and found.strip() == CODE


def test_a_script_told_step_by_step_is_joined() -> None:
    answer = "Import:\n```python\nimport cadquery as cq\n```\nThen:\n```python\nr = cq.Workplane().box(1, 1, 1)\n```"
    assert extract(answer) == "import cadquery as cq\nr = cq.Workplane().box(1, 1, 1)\n"


@pytest.mark.parametrize("answer", ["", "I see a bracket with two holes.", "```bash\nls\n```", '{"shape": "box"}'])
def test_where_there_is_none(answer: str) -> None:
    assert extract(answer) is None


@pytest.mark.parametrize(
    ("text", "finish", "outcome"),
    [
        (CODE, "stop", ""),
        (CODE, "length", ""),  # cut off after the script: it is whole
        (CODE + "\n\nThis is a box with", "length", ""),
        (f"```python\n{CODE}\n```\nThis is a", "length", ""),
        (CODE[:-12], "length", "truncated"),
        (f"```python\n{CODE}\nresult = result.fa", "length", "truncated"),
        (f"{CODE}\nresult = result.faces(", "length", "truncated"),
        ("", "length", "truncated"),
        ("  \n", "stop", "empty"),
        ("", "refused", "refused"),
        ("I'm sorry, but I can't help with that.", "stop", "refused"),
        ("A bracket.", "stop", "no_code"),
    ],
)
def test_outcomes_have_names(text: str, finish: str, outcome: str) -> None:
    assert read_reply(text, finish).outcome == outcome
