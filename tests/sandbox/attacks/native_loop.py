# An endless loop inside one native call, which no signal handler of Python interrupts.
# expect: timeout
n = 0
for _ in range(8):
    n = sum(range(10**11))
