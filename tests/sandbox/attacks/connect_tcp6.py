# Connects to the outside by IPv6.
# expect: denied exception
import socket

with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    s.connect(("2606:4700:4700::1111", 80))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
