# Jumps to an address that is no code.
# expect: crash
import ctypes

ctypes.CFUNCTYPE(None)(0x4141414141414141 & 0x7FFFFFFFFFFF)()
