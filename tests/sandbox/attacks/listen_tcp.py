# Opens a port to be reached by.
# expect: denied exception
# alone: landlock seccomp
import socket

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.settimeout(2)
    s.bind(("127.0.0.1", 0)), s.listen()
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
