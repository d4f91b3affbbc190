# Asks for far more than there is at once.
# expect: memory
block = bytearray(10**13)
