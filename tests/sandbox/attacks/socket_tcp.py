# Opens a TCP socket.
# expect: denied
# alone: seccomp
import socket

socket.socket(socket.AF_INET, socket.SOCK_STREAM)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
