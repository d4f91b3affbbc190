# Connects to an abstract unix socket of the user's.
# expect: denied exception
# alone: net_ns landlock seccomp
import socket

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    s.connect("\0@ABSTRACT@")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
