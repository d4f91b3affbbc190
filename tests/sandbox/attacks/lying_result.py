# A result that lies about what it is.
# expect: exception crash invalid_shape no_result timeout
import cadquery as cq


class Liar(cq.Workplane):
    def vals(self):
        return [self]

    @property
    def wrapped(self):
        return b"no shape"


solid = Liar()
