# Asks the name service, which tells an outsider.
# expect: denied exception
import socket

socket.getaddrinfo("localhost.example.com", 80)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
