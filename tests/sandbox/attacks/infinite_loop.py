# An endless loop in Python.
# expect: timeout
while True:
    pass
