"""The wire format: what is encoded comes back, and nothing else is accepted."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadcoder.sandbox.frames import FrameError, FrameReader, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def decode(data, step=1 << 20):
    reader = FrameReader(1 << 20, 1 << 20)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.message()


@given(
    st.dictionaries(st.text().filter(lambda key: key != "parts"), JSON, max_size=5),
    st.dictionaries(st.text(max_size=10), st.binary(max_size=200), max_size=5),
    st.integers(1, 50),
)
def test_what_goes_in_comes_out(message, parts, step):
    assert decode(encode(message, parts), step) == (message, parts)


@given(st.binary(max_size=200))
def test_noise_is_refused(data):
    with pytest.raises(FrameError):
        decode(data)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_a_damaged_frame_never_does_more_than_raise(position, bytes_):
    data = bytearray(encode({"a": [1, 2, {"b": None}]}, {"x": b"12345", "y": b""}))
    position %= len(data)
    data[position : position + len(bytes_)] = bytes_
    try:
        decode(bytes(data))
    except FrameError:
        pass


def frame(text, blob=b"", n_json=None, n_blob=None):
    n_json, n_blob = (len(text) if n_json is None else n_json), (len(blob) if n_blob is None else n_blob)
    return struct.pack(">4sIQ", b"CCF1", n_json, n_blob) + text + blob


@pytest.mark.parametrize(
    "data",
    [
        frame(b'{"parts":[],"x":NaN}'),
        frame(b'{"parts":[],"x":-Infinity}'),
        frame(b'{"parts":[],"parts":[]}'),
        frame(b'{"parts":[["a",-1]]}'),
        frame(b'{"parts":[["a",true]]}', b"x"),
        frame(b'{"parts":[["a",5]]}', b"abc"),
        frame(b'{"parts":[["a",1],["a",1]]}', b"ab"),
        frame(b'{"parts":[["a",1]]}', b"ab"),
        frame(b'{"parts":{}}'),
        frame(b"[]"),
        frame(b"{}"),
        frame(b'{"parts":[]}', n_json=1 << 31),
        frame(b'{"parts":[]}', n_blob=1 << 62),
        frame(b'{"parts":[]}') + b"x",
        frame(b'{"parts":[]}')[:-1],
        frame(b"[" * 100_000),
        frame(b'{"parts":[],"x":' + b"9" * 10_000 + b"}"),
        frame(b"\xff\xfe"),
    ],
)
def test_what_is_not_a_frame_is_refused(data):
    with pytest.raises(FrameError):
        decode(data)


def test_nan_is_not_sent():
    with pytest.raises(ValueError, match="JSON"):
        encode({"x": float("nan")})


def test_nothing_that_could_run_code_is_read():
    """No part of the sandbox knows a format that holds code."""
    for path in (Path(__file__).parents[2] / "cadcoder" / "sandbox").glob("*.py"):
        text = path.read_text()
        found = [name for name in ("pickle", "marshal", "shelve", "dill", "yaml") if f"import {name}" in text]
        assert found == [], path.name
