"""Whatever the text, parsing ends soon, with a program or an InputError, and runs nothing."""

from __future__ import annotations

import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_compare import PHASES

from cadcoder.errors import InputError
from cadcoder.program import Program, emit, parse

HEAD = "import cadquery as cq\n"
SCRIPTS = [
    HEAD + 'result = cq.Workplane("XY").rect(80, 50).rarray(64, 34, 2, 2).circle(3).extrude(8)\n'
    'result = result.union(cq.Workplane("XZ", origin=(0, 0, 8)).slot2D(30, 9, 30).extrude(-12))\n',
    HEAD + "w = 4\nx, y = w / 2, -w\nresult = cq.Workplane(cq.Plane((0, 0, 0), (1, 0, 0), (0, 1, 1)))"
    ".moveTo(x, y).threePointArc((1, 2), (5, 3)).hLine(w).close().extrude(3, both=True)\n",
]
TOKENS = [
    *(
        "cq",
        "cq.Workplane",
        '("XY")',
        ".circle",
        ".rect",
        ".polygon",
        ".extrude",
        ".union",
        ".cut",
        ".close()",
        "result",
    ),
    *(".pushPoints", ".polarArray", ".rarray", ".moveTo", ".lineTo", ".threePointArc", ".add", ".center", ".workplane"),
    *(
        "(",
        ")",
        "[",
        "]",
        ",",
        "=",
        "\n",
        " ",
        "+",
        "-",
        "*",
        "/",
        "0",
        "1",
        "2.5",
        "1e308",
        "-3",
        "(1, 2)",
        "None",
        "True",
    ),
    *(
        "result = ",
        "import cadquery as cq\n",
        '"XZ"',
        "origin=",
        "lambda: 0",
        "both=True",
        "x",
        ":",
        "#",
        "'",
        "\\",
        "\t",
    ),
]


def quietly(code: str) -> Program | None:
    """The program, or None where the text is refused; anything else is a fault."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            program = parse(code)
    except InputError as error:
        assert "\n" not in str(error)
        program = None
    assert time.process_time() - began < 8
    return program


fuzz = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


@fuzz
@given(st.text(max_size=200))
def test_any_text(code):
    quietly(code)


@fuzz
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))
def test_any_words(code):
    quietly(code)


@fuzz
@given(st.sampled_from(SCRIPTS), st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([*TOKENS, ""]))
def test_scripts_with_a_piece_replaced(code, at, length, piece):
    at %= len(code)
    program = quietly(code[:at] + piece + code[at + length :])
    if program is not None:
        assert isinstance(emit(program), str)


CHAIN = 'result = cq.Workplane("XY")'


@pytest.mark.parametrize(
    "code",
    [
        "(" * 100_000,
        "[" * 90 + "]" * 90,
        "-" * 100_000 + "1",
        "x = 1" + "+1" * 90_000,
        "x = 1" + "+(1" * 150 + ")" * 150,
        "x" + ".a" * 90_000,
        CHAIN + ".move(1, 1)" * 15_000 + ".circle(1).extrude(1)",
        "x = " + "9" * 150_000,
        "x = 0x" + "f" * 150_000,
        "x = 1e999\n" + CHAIN + ".circle(x).extrude(1)",
        "x = 1e308 * 10\n",
        "x = 1 / 0\n",
        "x = 10**10**10\n",
        "x = 'a' * 1000000000\n",
        "x = [0] * 1000000000\n",
        "x = 1 << 1000000\n",
        CHAIN + ".rarray(1, 1, 100000, 100000).circle(1).extrude(1)",
        CHAIN + ".rarray(1, 1, 1e300, 1e300).circle(1).extrude(1)",
        CHAIN + ".polarArray(9, 0, 360, 1000000000).circle(1).extrude(1)",
        CHAIN + ".polygon(1000000000, 9).extrude(1)",
        "w = cq.Workplane('XY')\n" + "w.rarray(1, 1, 100, 100).circle(.1)\n" * 4_000,
        "p = [" + "(1, 2)," * 20_000 + "]\n" + "a = cq.Workplane('XY').pushPoints(p)\n" * 1_000,
        CHAIN + ".circle(1).extrude(1)\n" + "result = result.union(result)\n" * 60,
        "a = [1]\n" + "a = [a, a, a, a]\n" * 200 + CHAIN + ".pushPoints(a).circle(1).extrude(1)",
        "x = 1\x00",
        "x = '\ud800'",
        "\ufeff\ufeffx = 1",
        "x = '\\d'\n",
        "x = 1if 1else 2\n",
        "a" * 300_000,
        "",
    ],
    ids=range(31),
)
def test_hostile_texts_end_soon(code):
    assert quietly(code) is None


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import system",
        "__import__('os').system('touch /tmp/cadcoder-was-here')",
        "exec('1')",
        "x = open('/etc/passwd')",
        "x = [i for i in range(3)]",
        "for i in range(3): pass",
        "while True: pass",
        "def f(): pass",
        "class A: pass",
        "x = lambda: 1",
        "x = f'{1}'",
        "x = cq.exporters",
        "cq.Workplane.extrude = 1",
        "x = 1 if 1 else 2",
        "x = {1: 2}",
        "assert 0",
        "x: int",
        "del x",
        "x = y",
        "x = (y := 1)",
        "x = b'1'",
        "x = 1j",
        "a = b = 1",
        "x = cq.Workplane(*[1])",
        "x = cq.importers.importStep('part.step')",
        "x = math.sqrt(-1)",
        "x = math.factorial(9)",
        "x, y = 1",
        "x = cq.Plane((0, 0, 0), (0, 0, 1), (0, 0, 1))",
        "x = cq.Workplane('XY').circle(True).extrude(1)",
        "x = cq.Workplane('XY').circle(1, radius=2).extrude(1)",
        "x = cq.Workplane('XY').circle().extrude(1)",
        "x = cq.Workplane('XY').rect(1).extrude(1)",
    ],
)
def test_more_than_a_program_can_say_is_refused_with_its_line(line):
    with pytest.raises(InputError, match=r"^line 3: "):
        parse(f"{HEAD}# a comment\n{line}\nresult = cq.Workplane('XY').circle(1).extrude(1)\n")


def test_a_script_without_a_part_says_so():
    with pytest.raises(InputError, match="extrudes nothing"):
        parse(HEAD)
    with pytest.raises(InputError, match="extrudes nothing"):
        parse(HEAD + 'w = cq.Workplane("XY").circle(4)\n')


def test_a_long_honest_script_is_read_fast():
    points = ", ".join(f"({i % 40 * 3}, {i // 40 * 3})" for i in range(800))
    code = f'{HEAD}result = cq.Workplane("XY").rect(400, 400).pushPoints([{points}]).circle(1).extrude(2)\n'
    began = time.process_time()
    program = parse(code)
    assert len(list(program.extrudes[0].sketch.loops())) == 801
    assert time.process_time() - began < 8
