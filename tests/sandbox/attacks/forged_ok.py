# Answers in place of its runner that all is well.
# expect: crash
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


text = json.dumps({"status": "ok", "volume": 1.0, "bounds": [[0, 0, 0], [1, 1, 1]], "parts": []}).encode()
os.write(3, frame(text))
os._exit(0)
