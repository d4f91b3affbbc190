# Hangs when it is cleaned up.
# expect: timeout no_result ok
class Slow:
    def __del__(self):
        while True:
            pass


keep = Slow()
keep = None
