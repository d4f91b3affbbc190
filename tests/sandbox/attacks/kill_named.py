# Kills its parent.
# expect: denied exception no_result
# alone: pid_ns landlock seccomp
import os
import signal

os.kill(int("@CANARY@"), signal.SIGKILL)
