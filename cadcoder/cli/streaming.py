"""``--stream``: the model's first script, shown on stderr while it is written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.model.stream import Step
    from cadcoder.pipeline import Pipeline

#: A terminal shows the draft dimmed, so that it is not taken for the script.
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Shown:
    """The pipeline's model, whose first greedy script is shown as it is written.

    What is handed on is what the model writes without it, token for token.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        """Take an open pipeline; its model is waited for when the first script is asked for."""
        self._pipeline = pipeline
        self._done = False

    def candidates(
        self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int | None = None
    ) -> Sequence[str]:
        """Return what the model writes, and show the first script of the first call."""
        model = self._pipeline.drafter
        begin = getattr(model, "written", None)
        if self._done or begin is None:
            return model.candidates(image, n, seed, max_new_tokens)
        self._done = True
        text, lively = begin(), sys.stderr.isatty()

        def watch(step: Step) -> None:
            for row, token in step:
                if row == 0:
                    _show(text.feed(token))

        _show(_DIM if lively else "")
        try:
            scripts: Sequence[str] = model.candidates(image, n, seed, max_new_tokens, watch=watch)  # type: ignore[call-arg]
            _show(text.end())
        finally:
            _show(_PLAIN if lively else "")
        return scripts


def _show(piece: str) -> None:
    if piece:
        print(piece, end="", file=sys.stderr, flush=True)
