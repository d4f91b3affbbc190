# Listens to all packets of the machine.
# expect: denied exception
# alone: capabilities seccomp user_ns
import socket

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.settimeout(2)
    s.fileno()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
