# A fork bomb.
# expect: denied
import os

while True:
    os.fork()
