# Starts a program from memory.
# expect: denied exception crash
# alone: seccomp root_fs
import os

fd = os.memfd_create("program", 0)
os.write(fd, b"#!/bin/echo @WORKED@\n")
os.execve(fd, ["program"], {})
