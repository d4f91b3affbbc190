# Sends a pickle that would run a command.
# expect: crash
import os
import pickle


class Bomb:
    def __reduce__(self):
        return os.system, ("touch @OUTSIDE@/written.txt",)


os.write(3, pickle.dumps(Bomb()))
os._exit(0)
