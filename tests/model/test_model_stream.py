"""Scripts as text while they are written: the pieces are the whole, and watching can stop the work."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cadcoder import pictures
from cadcoder.errors import InputError
from cadcoder.model import Model
from cadcoder.model.generate import clean
from cadcoder.model.stream import Step, Tidy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def model() -> Model:
    import torch

    torch.set_num_threads(1)
    return Model.load("default", device="cpu")


@pytest.mark.parametrize("name", ["spacer_ring", "guide_rail"])
def test_the_pieces_are_the_script(model: Model, name: str) -> None:
    image = pictures.load(EXAMPLES / f"{name}.png")
    whole = model.candidates(image, n=3, seed=7)
    for candidate, script in enumerate(whole):
        stream = model.stream(image, candidate, seed=7)
        pieces = list(stream)
        assert "".join(pieces) == script
        assert all(pieces)
        assert len(pieces) > 3
        assert not stream.cut
        assert stream.tokens >= len(pieces) - 1


def test_scripts_by_index(model: Model) -> None:
    image = pictures.load(EXAMPLES / "guide_rail.png")
    whole = model.candidates(image, n=4, seed=7)
    assert model.candidates(image, n=2, seed=7, first=2) == whole[2:]
    assert len(set(whole)) > 1


def test_a_script_that_is_cut_off_says_so(model: Model) -> None:
    image = pictures.load(EXAMPLES / "spacer_ring.png")
    stream = model.stream(image, max_new_tokens=5)
    text = "".join(stream)
    assert (stream.cut, stream.tokens) == (True, 5)
    assert model.candidates(image, max_new_tokens=5) == [text]
    assert model.candidates(image)[0].startswith(text.rstrip("\n"))


def test_pieces_come_while_the_model_writes(model: Model) -> None:
    import torch

    stream = model.stream(pictures.load(EXAMPLES / "spacer_ring.png"))
    assert next(stream).startswith("import")
    assert stream.tokens <= 2
    # The caller computes what it likes between two pieces.
    assert not torch.is_inference_mode_enabled()
    stream.close()
    assert list(stream) == []


def test_torch_has_its_threads_back(model: Model) -> None:
    import torch

    image = pictures.load(EXAMPLES / "spacer_ring.png")
    torch.set_num_threads(2)
    try:
        used: list[int] = []
        model.candidates(image, watch=lambda step: used.append(torch.get_num_threads()))
        stream = model.stream(image)
        next(stream)
        assert {*used, torch.get_num_threads()} == {2}
        stream.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_watching_sees_every_token_and_can_stop(model: Model) -> None:
    image = pictures.load(EXAMPLES / "spacer_ring.png")
    seen: list[Step] = []
    scripts = model.candidates(image, n=2, seed=3, watch=seen.append)
    for row, script in enumerate(scripts):
        text = model.written()
        pieces = [text.feed(token) for step in seen for at, token in step if at == row]
        assert "".join(pieces) + text.end() == script

    class Enough(Exception):
        pass

    def stop(step: Step) -> None:
        raise Enough

    with pytest.raises(Enough):
        model.candidates(image, watch=stop)
    assert model.candidates(image, n=2, seed=3) == scripts


def test_faulty_numbers_are_named(model: Model) -> None:
    image = pictures.load(EXAMPLES / "spacer_ring.png")
    with pytest.raises(InputError, match="temperature above 0"):
        model.stream(image, temperature=0.0)


TEXTS = [
    "import cadquery as cq\nresult = 1\n",
    "  \n import x  \n\n",
    "```python\nimport x\ny = `1`\n```",
    "```\nimport x\n```\nThat is it.",
    "```py\nimport x\n",
    "\n```Python3\nimport x\n```",
    "```import x```",
    "``",
    "```",
    "``` python",
    "",
    " \n ",
    "x = '``'\n\n",
    "```python\n\n\n  import x\n\n```\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_tidying_piece_by_piece_is_cleaning_the_whole(text: str) -> None:
    rng = random.Random(text)
    for _ in range(50):
        tidy, out, at = Tidy(), "", 0
        while at < len(text):
            step = rng.randint(1, 6)
            out += tidy.feed(text[at : at + step])
            at += step
        assert out + tidy.end() == clean(text)
