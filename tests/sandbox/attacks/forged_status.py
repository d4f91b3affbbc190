# Claims an outcome that only the supervisor may find.
# expect: crash
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


os.write(3, frame(json.dumps({"status": "timeout", "message": "too slow", "parts": []}).encode()))
os._exit(0)
