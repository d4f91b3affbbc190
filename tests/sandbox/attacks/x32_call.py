# Calls the kernel by the x32 numbers, which old filters forget.
# expect: crash denied no_result exception
import ctypes

ctypes.CDLL(None).syscall(0x40000000 + 41, 2, 1, 0)
raise SystemExit(1)
