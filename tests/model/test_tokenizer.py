"""The tokenizer is lossless, and a coordinate is one token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadcoder.errors import InputError
from cadcoder.model.tokenizer import SPECIAL_TOKENS, grid_numbers, train_tokenizer

SCRIPTS = [
    f'import cadquery as cq\n\nresult = cq.Workplane("XY").rect({w}, {h}).extrude({d})\n'
    f'result = result.cut(cq.Workplane("XZ", origin=({w}, -0.5, 0)).circle({d / 2}).extrude(-{h}))\n'
    for w, h, d in ((40, 20, 5), (100, 3, 7), (12, 64, 31), (8, 8, 80))
]
TOKENIZER = train_tokenizer(SCRIPTS * 50, vocab_size=1200)


def _ids(text):
    return TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("0123456789-., ()aé\n#½<s>"))
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(_ids(text)) == text


@pytest.mark.parametrize(
    "text", ["a-5", "x=-0.5,-.5", "1e-05", "--5", "1, 2, -3.25", "# naïve ½\r\n\tx", "</s><image>", ""]
)
def test_awkward_text_comes_back(text):
    assert TOKENIZER.decode(_ids(text)) == text


@pytest.mark.parametrize("number", ["0", "-1", "100", "-100", "0.5", "-49.5", "7", "33"])
def test_grid_numbers_are_one_token_with_their_comma(number):
    assert number in grid_numbers()
    assert len(_ids(number)) == 1
    assert len(_ids(", " + number)) == 1
    assert len(_ids(f"({number}, {number})")) <= 4


def test_text_between_numbers_is_merged_across_spaces_and_lines():
    ids = _ids(SCRIPTS[0])
    assert len(ids) < 24
    pieces = [TOKENIZER.decode([i]) for i in ids]
    assert pieces[0].startswith("import cadquery as cq\n\nresult = cq.Workplane(")


def test_specials_have_fixed_ids():
    assert [TOKENIZER.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS] == [0, 1, 2, 3]
    assert TOKENIZER.eos_token_id == 3


def test_numbers_off_the_grid_fall_into_pieces():
    assert len(_ids("12.375")) > 1


def test_training_is_deterministic():
    again = train_tokenizer(SCRIPTS * 50, vocab_size=1200)
    assert again.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_faults_are_told():
    with pytest.raises(InputError, match="too small"):
        train_tokenizer(SCRIPTS, vocab_size=300)
    with pytest.raises(InputError, match="no text"):
        train_tokenizer([])
