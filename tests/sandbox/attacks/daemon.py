# Leaves a process behind that lives on without it.
# expect: denied exception
# alone: seccomp pid_ns
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 4)
        time.sleep(1000)
    os._exit(0)
