# An error message with terminal commands in it.
# expect: exception
raise ValueError("\x1b[2J\x1b]0;owned\x07" + "\n" * 100 + "x" * 10**6)
