# Is longer than any script of a part.
# expect: syntax_error
@LONG@
