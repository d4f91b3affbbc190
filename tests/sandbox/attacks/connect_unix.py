# Connects to a unix socket of the user's by its path.
# expect: denied exception
# alone: root_fs seccomp
import socket

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    s.connect("@OUTSIDE@/listener")
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
