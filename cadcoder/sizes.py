"""Real sizes: ``--size 40``, ``--size x=40mm``, ``--size z=1.5in`` as a factor on a part.

A picture shows proportions, not lengths, so the script comes out with its longest side 100 long unless a
person says how long one side really is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cadcoder.errors import InputError

#: Units of length, in millimetres (what STEP files written by CadQuery are in).
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "in": 25.4, "ft": 304.8}

_NAMES = {
    **{unit: unit for unit in UNITS},
    **{"µm": "um", "μm": "um", '"': "in", "″": "in", "inch": "in", "inches": "in", "'": "ft", "′": "ft"},
    **{"millimetre": "mm", "millimetres": "mm", "millimeter": "mm", "millimeters": "mm"},
}

_FORM = re.compile(r"(?:(?P<axis>[a-z]+)\s*=\s*)?(?P<value>[-+.\deE]*?\d\.?)\s*(?P<unit>[^\d\s.=-]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Size:
    """The real length of one side of a part.

    Attributes:
        length: in ``unit``, positive.
        unit: a key of :data:`UNITS`; the script comes out in it.
        axis: 0, 1 or 2 for x, y or z; None for the longest side.
    """

    length: float
    unit: str = "mm"
    axis: int | None = None

    def factor(self, extents: Sequence[float]) -> float:
        """Return what a part with these side lengths, (3,), must be multiplied by.

        Raises:
            InputError: if the side has no length.
        """
        now = float(max(extents) if self.axis is None else extents[self.axis])
        if not now > 0:
            raise InputError("the part has no length along the axis that --size names")
        return self.length / now


def parse_size(text: str | float | Size) -> Size:
    """Return the size that a person wrote: ``40``, ``40mm``, ``x=40mm``, ``y=1.5in``.

    Raises:
        InputError: if it cannot be read; the text says how to write it.
    """
    if isinstance(text, Size):
        return text
    match = _FORM.fullmatch(str(text).strip())
    how = "write a length such as 40, x=40mm or y=1.5in"
    if match is None:
        raise InputError(f"the size {str(text)!r} cannot be read; {how}")
    axis = (match["axis"] or "").lower()
    if axis and axis not in ("x", "y", "z"):
        raise InputError(f"the size {str(text)!r} names an axis that is not x, y or z; {how}")
    unit = _NAMES.get(match["unit"].lower() or "mm")
    if unit is None:
        raise InputError(f"the size {str(text)!r} has an unknown unit; use one of {', '.join(UNITS)}")
    try:
        length = float(match["value"])
    except ValueError:
        raise InputError(f"the size {str(text)!r} cannot be read; {how}") from None
    if not 0 < length * UNITS[unit] < 1e9:
        raise InputError(f"the size {str(text)!r} must be a positive length below 1000 km")
    return Size(length, unit, "xyz".index(axis) if axis else None)
