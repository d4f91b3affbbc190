# Sends a shape to the judge that is part of itself.
# expect: invalid_shape timeout memory
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
head, tail = blob.rsplit(b"TShapes", 1)
blob = head + b"TShapes 1\nCo\n\n0000000\n+1 0 +1 0 *\n\n+1 0 \n0\n"
os.write(3, frame(json.dumps({"status": "built", "name": "x", "parts": [["brep", len(blob)]]}).encode(), blob))
os._exit(0)
