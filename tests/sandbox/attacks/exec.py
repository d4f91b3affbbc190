# Turns into another program.
# expect: denied exception
import os

os.execv("/bin/sh", ["sh", "-c", "sleep 1000"])
