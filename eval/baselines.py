"""What costs nothing: a cube, and the program of the bank whose drawing is nearest to the picture."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cadcoder.errors import CadCoderError
from eval.answers import Answer
from eval.suites import Item

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.refine.bank import Bank

CUBE = 'import cadquery as cq\n\nresult = cq.Workplane("XY").box(100, 100, 100)\n'


class Box:
    """Answers with the same cube always: what a score is worth that looks at nothing."""

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield every part with the cube."""
        for item in items:
            yield item, Answer(None, "unsupported", "it knows one turn") if item.turns else Answer(CUBE)

    def close(self) -> None:
        """Nothing is open."""


class Nearest:
    """Answers with the nearest neighbour by picture, as it is: what remembering alone is worth."""

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield every part with its neighbour's script."""
        from cadcoder.pictures import load

        for item in items:
            if item.turns:
                yield item, Answer(None, "unsupported", "it knows one turn")
                continue
            start = time.perf_counter()
            try:
                (code,) = nearest(load(item.pictures[0]), 1)
                yield item, Answer(code, seconds=time.perf_counter() - start)
            except CadCoderError as error:
                yield item, Answer(None, "no_code", str(error), seconds=time.perf_counter() - start)

    def close(self) -> None:
        """Nothing is open."""


@functools.lru_cache(maxsize=1)
def bank() -> Bank:
    """Return the default checkpoint's bank of synthetic programs.

    Raises:
        CadCoderError: if it is missing.
    """
    from cadcoder.model.checkpoint import BANK_FILE, find
    from cadcoder.refine.bank import load_bank

    return load_bank(Path(find("default")) / BANK_FILE)


def nearest(picture: Image.Image, count: int) -> list[str]:
    """Return the scripts of the bank whose drawings are nearest to a picture, the nearest first.

    Raises:
        InputError: if nothing is seen in the picture.
    """
    from cadcoder.refine.bank import describe_observation
    from cadcoder.render.observe import observe

    return bank().nearest(describe_observation(observe(picture)), count)
