# Connects to a server of the user's on this machine.
# expect: denied exception
# alone: net_ns landlock seccomp
import socket

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    s.connect(("127.0.0.1", int("@TCP@")))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
