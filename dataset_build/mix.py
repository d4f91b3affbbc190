"""Several sources as one, evenly interleaved: any stretch of a mixed set holds every source in its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset_build.parts import Part, Source
from dataset_build.readers.rejects import Reject


@dataclass(frozen=True, slots=True)
class Mix:
    """Sources of which each gives some of its parts.

    Attributes:
        sources: what is mixed.
        counts: how many parts each gives.
        chosen: which parts of each, in its own order; None for all that it gives from the first on.
    """

    sources: tuple[Source, ...]
    counts: tuple[int, ...]
    chosen: tuple[NDArray[np.int64] | None, ...]

    @classmethod
    def of(cls, sources: Sequence[Source], counts: Sequence[int], seed: int) -> Mix:
        """Return a mix of the first so many parts of a source that holds no more, else of a sample by the seed."""
        chosen: list[NDArray[np.int64] | None] = []
        for k, (source, count) in enumerate(zip(sources, counts, strict=True)):
            rng = np.random.default_rng([seed, 77, k])
            # In the source's own order, which is the one that its files are quickly read in.
            fewer = len(source) > count
            chosen.append(np.sort(rng.permutation(len(source))[:count]).astype(np.int64) if fewer else None)
        return cls(tuple(sources), tuple(counts), tuple(chosen))

    def __len__(self) -> int:
        return sum(self.counts)

    def name(self, index: int) -> str:
        """Return what the source of part ``index`` calls it."""
        source, number = self.place(index)
        return self.sources[source].name(number)

    def part(self, index: int) -> Part | Reject:
        """Return part ``index`` from its source."""
        source, number = self.place(index)
        return self.sources[source].part(number)

    def place(self, index: int) -> tuple[int, int]:
        """Return (source, its part) of part ``index``."""
        left, at = sum(self.counts), index
        for k, count in enumerate(self.counts):
            # Whole numbers: the first source takes those places where its share reaches the next part.
            before = at * count // left
            if (at + 1) * count // left > before:
                chosen = self.chosen[k]
                return k, before if chosen is None else int(chosen[before])
            at, left = at - before, left - count
        raise IndexError(index)


def counts_of(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers that add up to ``total`` in the given shares (largest remainders get the rest)."""
    exact = [total * s for s in shares]
    counts = [int(v + 1e-9) for v in exact]
    order = sorted(range(len(shares)), key=lambda k: (counts[k] - exact[k], k))
    for k in order[: total - sum(counts)]:
        counts[k] += 1
    return counts
