# Opens a unix socket.
# expect: denied
# alone: seccomp
import socket

socket.socketpair()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
