# Renames the machine.
# expect: no_result
# alone: uts_ns capabilities seccomp user_ns
import ctypes

ctypes.CDLL(None).sethostname(b"owned", 5)
