# Keeps every core busy with threads.
# expect: timeout exception
import hashlib
import threading


def burn():
    while True:
        hashlib.sha256(bytes(10**7))


for _ in range(8):
    threading.Thread(target=burn).start()
burn()
