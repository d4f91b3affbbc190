"""The order of samples: passes of batches of like length, shared out among ranks.

Everything follows from the seed and the number of the step: a run goes on after an interruption where it was, and a
batch holds the same samples however many processes share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: Batches that are sorted by length together.
SPAN = 32


@dataclass(frozen=True, slots=True)
class Split:
    """The samples of a set.

    Attributes:
        train: their numbers.
        held: numbers of the held-out ones.
        dropped: how many were over the limit of tokens.
    """

    train: Array
    held: Array
    dropped: int


def split(lengths: Array, most: int, held_out: int) -> Split:
    """Share a set out: what is too long is dropped, then the held-out samples are drawn evenly over the rest.

    They are at most a quarter of the set, and the same whatever the seed of the run.
    """
    fit = np.flatnonzero(lengths <= most)
    count = min(held_out, len(fit) // 4)
    at = np.unique(np.linspace(0, len(fit) - 1, count).round().astype(np.int64)) if count else np.empty(0, np.int64)
    mask = np.ones(len(fit), bool)
    mask[at] = False
    return Split(fit[mask], fit[at], len(lengths) - len(fit))


class Order:
    """Which samples every step has."""

    def __init__(self, samples: Array, lengths: Array, batch: int, seed: int) -> None:
        """Take the samples' numbers, the lengths of the whole set, the global batch and the seed."""
        self.samples, self.lengths, self.batch, self.seed = samples, lengths, batch, seed
        self._planned: tuple[int, list[Array]] | None = None

    @property
    def steps_a_pass(self) -> int:
        """Whole batches in a pass; samples left over come in other passes. A set below a batch is repeated to one."""
        return max(1, len(self.samples) // self.batch)

    def plan(self, turn: int) -> list[Array]:
        """Return the batches of a pass."""
        if self._planned and self._planned[0] == turn:
            return self._planned[1]
        rng = np.random.default_rng([self.seed, turn])
        mixed = self.samples[rng.permutation(len(self.samples))]
        if len(mixed) < self.batch:
            mixed = np.resize(mixed, self.batch)
        mixed = mixed[: self.steps_a_pass * self.batch]
        batches: list[Array] = []
        for start in range(0, len(mixed), SPAN * self.batch):
            part = mixed[start : start + SPAN * self.batch]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch] for i in range(0, len(part), self.batch)]
        batches = [batches[i] for i in rng.permutation(len(batches))]
        self._planned = (turn, batches)
        return batches

    def at(self, step: int) -> tuple[int, Array]:
        """Return (pass, samples) of a step."""
        turn, within = divmod(step, self.steps_a_pass)
        return turn, self.plan(turn)[within]


def share(batch: Array, micro: int, rank: int, world: int) -> list[Array]:
    """Return the micro-batches of a rank: neighbours in length are computed at the same time on all ranks."""
    groups = [batch[i : i + micro] for i in range(0, len(batch), micro)]
    return groups[rank::world]


class Steps:
    """The batch sampler of a rank: its micro-batches from a step on, each a list of (pass, sample)."""

    def __init__(self, order: Order, micro: int, rank: int, world: int, first: int, last: int) -> None:
        """Take the order, this rank's place, and the steps from ``first`` to before ``last``."""
        self.order, self.micro, self.rank, self.world, self.first, self.last = order, micro, rank, world, first, last

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.first, self.last):
            turn, batch = self.order.at(step)
            for part in share(batch, self.micro, self.rank, self.world):
                yield [(turn, int(i)) for i in part]

    def __len__(self) -> int:
        return (self.last - self.first) * (self.order.batch // self.micro // self.world)
