# Writes over the interpreter's own memory.
# expect: crash exception timeout
import ctypes

ctypes.memset(id(int), 0x41, 4096)
x = int("5") + 1
