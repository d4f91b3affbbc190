# Sends bytes that are no geometry to the judge.
# expect: invalid_shape
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


blob = b"DBRep_DrawableShape\n\nCASCADE Topology V1, (c) Matra-Datavision\nLocations 999999999\n" + b"1 " * 1000
os.write(3, frame(json.dumps({"status": "built", "name": "x", "parts": [["brep", len(blob)]]}).encode(), blob))
os._exit(0)
