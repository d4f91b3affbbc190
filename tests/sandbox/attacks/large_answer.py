# Sends more geometry than any part has.
# expect: output_limit
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


size = 200 << 20
os.write(3, frame(json.dumps({"status": "built", "name": "x", "parts": [["brep", size]]}).encode(), n_blob=size))
for _ in range(200):
    os.write(3, bytes(1 << 20))
os._exit(0)
