# Overflows the native stack of the interpreter.
# expect: exception crash syntax_error
import sys

sys.setrecursionlimit(10**9)


class A:
    def __getattr__(self, name):
        return getattr(self, name + "x")


A().x
