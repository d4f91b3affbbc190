# Sends one key twice, for readers that differ in which counts.
# expect: crash
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


os.write(3, frame(b'{"status":"exception","message":"a","status":"built","parts":[]}'))
os._exit(0)
