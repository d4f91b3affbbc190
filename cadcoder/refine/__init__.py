"""Look and correct: fit the numbers of a script to the picture that it was written for."""

from cadcoder.refine.fit import Fit, refine

__all__ = ["Fit", "refine"]
