# Kills everything that it may.
# expect: denied exception no_result
# alone: pid_ns landlock seccomp
import os
import signal

os.kill(-1, signal.SIGKILL)
