# Sends a pickle in place of its geometry.
# expect: invalid_shape
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


import pickle


class Bomb:
    def __reduce__(self):
        return os.system, ("touch @OUTSIDE@/written.txt",)


blob = pickle.dumps(Bomb())
os.write(3, frame(json.dumps({"status": "built", "name": "x", "parts": [["brep", len(blob)]]}).encode(), blob))
os._exit(0)
