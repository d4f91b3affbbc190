# Leaves without a word.
# expect: crash
import os

os._exit(0)
