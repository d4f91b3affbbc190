# Leaves with the code by which our own faults are told.
# expect: crash
import os

os._exit(97)
