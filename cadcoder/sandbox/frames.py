"""The wire format between the sandbox's processes: a capped header, strict JSON, then raw bytes. No pickle anywhere.

A frame is ``b"CCF1"``, the length of the JSON part (uint32, big-endian), the length of the binary part (uint64,
big-endian), the JSON object in UTF-8, and the binary parts one after another. The JSON object's ``"parts"`` is a list
of ``[name, length]`` pairs that cut the binary part up. Every length is checked against a cap before anything is read,
so that a hostile peer can neither make the reader allocate nor confuse it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

MAGIC = b"CCF1"
# A child sends this byte once it is confined; whatever happens before it is our fault, whatever comes after is not.
READY = b"R"
HEADER = struct.Struct(">4sIQ")
MAX_JSON = 1 << 20
MAX_BLOB = 256 << 20
MAX_PARTS = 16


class FrameError(Exception):
    """The peer sent something that is not a frame, or one beyond the caps."""


def encode(message: Mapping[str, Any], parts: Mapping[str, bytes] | None = None) -> bytes:
    """One frame as bytes.

    Raises:
        ValueError: for NaN or infinite numbers, which strict JSON has no words for.
    """
    parts = parts or {}
    body = dict(message)
    body["parts"] = [[name, len(data)] for name, data in parts.items()]
    text = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    return b"".join([HEADER.pack(MAGIC, len(text), sum(len(p) for p in parts.values())), text, *parts.values()])


class FrameTooLarge(FrameError):
    """The peer announced more than the caps allow."""


class FrameReader:
    """Puts one frame together from bytes as they arrive.

    Args:
        max_blob: Largest binary part accepted, in bytes.
        max_json: Largest JSON part accepted, in bytes.
    """

    def __init__(self, max_blob: int = MAX_BLOB, max_json: int = MAX_JSON) -> None:
        self._buffer = bytearray()
        self._max_blob = max_blob
        self._max_json = max_json
        self._need = HEADER.size
        self._json = -1

    @property
    def wanted(self) -> int:
        """How many more bytes are certainly part of this frame; 0 when it is complete."""
        return self._need - len(self._buffer)

    def feed(self, data: bytes) -> bool:
        """Take bytes in; True when the frame is complete.

        Raises:
            FrameTooLarge: on a length over a cap.
            FrameError: on a wrong magic, or bytes after the end.
        """
        self._buffer += data
        if self._json < 0 and len(self._buffer) >= HEADER.size:
            magic, n_json, n_blob = HEADER.unpack_from(self._buffer)
            if magic != MAGIC:
                raise FrameError("wrong magic")
            if n_json > self._max_json or n_blob > self._max_blob:
                raise FrameTooLarge("frame over the size cap")
            self._json = n_json
            self._need = HEADER.size + n_json + n_blob
        if len(self._buffer) > self._need:
            raise FrameError("bytes after the end of the frame")
        return self._json >= 0 and len(self._buffer) == self._need

    def message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The JSON object and the binary parts of a complete frame.

        Raises:
            FrameError: if the frame is incomplete, the JSON is not strict, or the parts do not add up.
        """
        if self._json < 0 or self.wanted:
            raise FrameError("truncated frame")
        start = HEADER.size + self._json
        body = _strict_json(bytes(self._buffer[HEADER.size : start]))
        table = body.pop("parts", None)
        if not isinstance(table, list) or len(table) > MAX_PARTS:
            raise FrameError("no table of parts")
        parts: dict[str, bytes] = {}
        view = memoryview(self._buffer)
        for row in table:
            if not (isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and type(row[1]) is int):
                raise FrameError("malformed table of parts")
            name, length = row
            if length < 0 or name in parts or start + length > self._need:
                raise FrameError("malformed table of parts")
            parts[name] = bytes(view[start : start + length])
            start += length
        if start != self._need:
            raise FrameError("parts do not fill the frame")
        return body, parts


def _strict_json(text: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise FrameError(f"{constant} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise FrameError("a key appears twice")
        return result

    try:
        body = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise FrameError("not strict JSON") from error
    if not isinstance(body, dict):
        raise FrameError("not a JSON object")
    return body
