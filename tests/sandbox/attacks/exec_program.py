# Turns into a program of the system.
# expect: denied exception crash
# alone: root_fs landlock seccomp
import os

print("started", flush=True)
os.execve("/bin/echo", ["echo", "@WORKED@"], {})
