# Computes a number of a billion digits in one native call.
# expect: timeout memory
n = 7 ** (10**9)
