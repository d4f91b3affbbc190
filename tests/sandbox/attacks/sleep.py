# Waits for ever without using the processor.
# expect: timeout
import time

time.sleep(10**6)
