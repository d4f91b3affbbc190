# Asks the kernel about the network.
# expect: denied exception
# alone: seccomp
import socket

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as s:
    s.settimeout(2)
    s.bind((0, 0))
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
