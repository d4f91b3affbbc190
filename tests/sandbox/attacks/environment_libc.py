# Asks the C library for the caller's environment.
# expect: no_result
# alone: empty_env
import ctypes

libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
names = (b"CADCODER_CANARY", b"HOME", b"PATH", b"USER", b"HF_TOKEN", b"AWS_SECRET_ACCESS_KEY", b"LD_LIBRARY_PATH")
if any(libc.getenv(name) for name in names):
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
