# Makes nothing.
# expect: no_result
x = 1
