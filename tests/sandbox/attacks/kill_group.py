# Kills its group of processes.
# expect: denied exception no_result
# alone: process_group landlock seccomp
import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(0, signal.SIGTERM)
time.sleep(0.1)
