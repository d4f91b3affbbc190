# Sends its answer a byte at a time, for ever.
# expect: timeout
import json
import os
import struct


def frame(text, blob=b"", magic=b"CCF1", n_json=None, n_blob=None):
    n_json = len(text) if n_json is None else n_json
    n_blob = len(blob) if n_blob is None else n_blob
    return struct.pack(">4sIQ", magic, n_json, n_blob) + text + blob


import time

for byte in frame(b"{" + b" " * 1000 + b"}"):
    os.write(3, bytes([byte]))
    time.sleep(0.05)
