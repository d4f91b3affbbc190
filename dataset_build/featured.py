"""The source ``synthetic-features``: scripts with fillets, chamfers, revolves, shells, stepped holes and lofts.

DeepCAD has none of these and a :class:`~cadcoder.program.Program` cannot say them, so their parts are scripts: each is
run by the sandboxed executor, which also says whether its solid is valid and closed. What does not run, falls apart or
has another size than it should is drawn again from the next stream of the same seed, so a seed gives the same part
everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_build.feature_kinds import KINDS, Draft, draft
from dataset_build.growing import choose
from dataset_build.parts import Part
from dataset_build.readers.rejects import Reason, Refused, Reject
from dataset_build.verify import run

KIND = "synthetic-features"
#: Drafts of one seed before it becomes a reject.
TRIES = 8


def drafted(seed: int, attempt: int = 0) -> Draft:
    """Return a draft of a seed, which may not run; all of a seed are drawn for the same kind, so that shares hold."""
    kind = choose(np.random.default_rng([seed, 2]), KINDS)
    return draft(np.random.default_rng([seed, 3, attempt]), kind)


def sample(seed: int) -> Part:
    """Return the part of a seed: a script that runs, and its solid.

    Raises:
        Refused: why the last draft is no part; at once where a draft takes too long, or the executor is at fault, for
            that can be another machine's luck.
    """
    for attempt in range(TRIES):
        made = drafted(seed, attempt)
        try:
            solid, _ = run(made.code)
        except Refused as e:
            refused = e
            if e.reason is Reason.INTERNAL or e.detail.startswith(("timeout", "crash", "memory")):
                break
            continue
        longest = float(solid.extents.max())
        if solid.n_bodies == 1 and 97.0 <= longest <= 103.0:
            return Part(None, f"{KIND}/{'+'.join(made.features)}", seed, code=made.code, solid=solid)
        refused = Refused(Reason.BUILD_FAILED, "", f"{solid.n_bodies} bodies, longest side {longest:.4g}")
    raise refused


@dataclass(frozen=True, slots=True)
class Featured:
    """Parts drawn with features that a program cannot say; part ``i`` is of the seed ``first + i``."""

    count: int
    first: int

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Return the seed that the part is drawn from."""
        return f"features seed {self.first + index}"

    def part(self, index: int) -> Part | Reject:
        """Draw the part."""
        try:
            return sample(self.first + index)
        except Refused as e:
            return e.at(self.name(index))
