# Answers twice; only the first answer is read, and it counts.
# expect: no_result
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


one = frame(json.dumps({"status": "no_result", "message": "", "parts": []}).encode())
os.write(3, one + one)
os._exit(0)
