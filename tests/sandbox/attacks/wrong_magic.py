# Sends another protocol.
# expect: crash
import os

os.write(3, b"HTTP/1.1 200 OK\r\n\r\n")
os._exit(0)
