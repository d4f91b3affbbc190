# Leaves a thread and an exit handler that would go on for ever.
# expect: no_result
import atexit
import threading
import time

threading.Thread(target=time.sleep, args=(10**6,)).start()
atexit.register(time.sleep, 10**6)
