# An expression nested deeper than the compiler goes.
# expect: syntax_error crash exception memory
eval("(" * 100000 + "1" + ")" * 100000)
