# Goes on when the process that started it is gone.
# expect: timeout denied exception no_result
# alone: pdeathsig
# parent: dies
import time

time.sleep(1.0)
open("@OUTSIDE@/outlived", "w").close()
time.sleep(1000)
