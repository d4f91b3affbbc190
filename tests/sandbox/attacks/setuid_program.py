# Starts a program that runs as another user.
# expect: denied exception crash
# alone: no_new_privs root_fs landlock seccomp
import os

os.execve("@OUTSIDE@/setuid", ["id", "-u"], {})
