# Writes a program into its folder and starts it.
# expect: denied exception crash
# alone: root_fs landlock seccomp
import os

with open("program", "w") as file:
    file.write("#!/bin/echo @WORKED@\n")
os.chmod("program", 0o700)
os.execve("./program", ["program"], {})
