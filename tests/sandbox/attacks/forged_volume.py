# Sends figures of its own with a true part.
# expect: ok
# volume: 6
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


import cadquery as cq
from cadcoder.sandbox import shapes

blob = shapes.write_brep(cq.Workplane().box(1, 2, 3).val().wrapped)
claims = {"status": "built", "name": "solid", "volume": 1e6, "n_solids": 9, "problem": None}
os.write(3, frame(json.dumps({**claims, "parts": [["brep", len(blob)]]}).encode(), blob))
os._exit(0)
