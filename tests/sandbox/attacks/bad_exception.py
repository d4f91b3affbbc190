# An exception that cannot even be printed.
# expect: exception
class Nasty(Exception):
    def __str__(self):
        raise SystemExit(0)


raise Nasty
