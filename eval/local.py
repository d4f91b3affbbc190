"""A checkpoint of ours on this machine, whole: drafted, run, compared and refined, as ``cadcoder generate`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cadcoder.errors import CadCoderError
from cadcoder.options import EFFORT, Options
from eval.answers import Answer
from eval.specs import Spec
from eval.suites import Item

if TYPE_CHECKING:
    from cadcoder.sandbox import Executor


class Local:
    """Answers with a checkpoint's pipeline."""

    def __init__(self, spec: Spec, executor: Executor) -> None:
        """Begin to load the model.

        Raises:
            CadCoderError: if it cannot be loaded.
        """
        from cadcoder.pipeline import Pipeline

        self.options = Options(
            candidates=spec.get("candidates", 1), effort=spec.get("effort", EFFORT), seed=spec.get("seed", 0)
        )
        self._pipeline = Pipeline(spec.name, device=spec.get("device"), executor=executor, many=True)
        _ = self._pipeline.drafter  # a checkpoint that cannot be loaded is told before anything is run

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield every part with its script, in order."""
        for item in items:
            if item.turns:
                yield item, Answer(None, "unsupported", "it knows one task: a picture, and no second turn")
        items = [item for item in items if not item.turns]
        found = self._pipeline.generate_many([list(item.pictures) for item in items], self.options)
        for item, (_, part) in zip(items, found, strict=True):
            if isinstance(part, CadCoderError):
                yield item, Answer(None, "no_code", str(part))
            else:
                yield item, Answer(part.code, seconds=part.seconds, notes=(f"origin: {part.origin}",))

    def close(self) -> None:
        """End the pipeline's processes."""
        self._pipeline.close()
