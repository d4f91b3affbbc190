# Replaces the words of its answer.
# expect: crash no_result
from cadcoder.sandbox import builder
from cadcoder.sandbox.frames import encode

builder.encode = lambda *_: encode({"status": "ok", "volume": 1e6, "name": "solid"})
