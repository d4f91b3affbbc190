# Sends a message full of terminal commands, and a line that is no number.
# expect: exception
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


words = {"status": "exception", "message": "\x1b[2J\x1b]0;owned\x07" * 10_000, "line": 10**30, "parts": []}
os.write(3, frame(json.dumps(words).encode()))
os._exit(0)
