# Writes to the error stream without end, past Python.
# expect: output_limit
import os

while True:
    os.write(2, b"x" * 65536)
