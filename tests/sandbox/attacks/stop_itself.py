# Stops itself, so that it neither ends nor answers.
# expect: timeout denied crash no_result
import os
import signal
import time

os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(10**6)
