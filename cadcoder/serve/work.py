"""What is done for a request, on the working thread: the pipeline, with the request's own way of sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from cadcoder.errors import CadCoderError
from cadcoder.part import Part, describe
from cadcoder.serve.errors import ApiError
from cadcoder.serve.jobs import Job
from cadcoder.serve.protocol import OWN, Ask, Choice

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.model import Model
    from cadcoder.model.stream import Step
    from cadcoder.pipeline import Options, Pipeline


class Sampler:
    """The pipeline's model as one request wants it: its temperature, its tokens counted, its end when nobody waits."""

    def __init__(self, model: Model, job: Job, first: int) -> None:
        """Take the model, the request, and the index of the first script that is asked for."""
        self._model, self._job, self._first = model, job, first

    def candidates(
        self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int | None = None
    ) -> Sequence[str]:
        """Return ``n`` scripts; see :class:`cadcoder.serve.protocol.Ask` for the temperature."""
        ask = self._job.ask
        return self._model.candidates(
            image,
            n,
            seed,
            max_new_tokens,
            temperature=ask.temperature or 1.0,
            top_p=ask.top_p,
            watch=self._watch,
            first=self._first,
        )

    def _watch(self, step: Step) -> None:
        self._job.stopper.check()
        self._job.usage.completion += len(step)


class Worker:
    """Does the jobs of a server."""

    def __init__(self, pipeline: Pipeline, options: Options) -> None:
        """Take an open pipeline, and what holds for requests that say nothing else."""
        self.pipeline, self.options = pipeline, options

    @property
    def model(self) -> Model:
        """The model, once it is loaded."""
        return cast("Model", self.pipeline.drafter)

    def warm(self) -> None:
        """Load everything, and do everything once.

        Raises:
            CadCoderError: if the model cannot be loaded, or no script can be run here.
        """
        from PIL import Image

        self.model.candidates(Image.new("RGB", (64, 64), "white"), max_new_tokens=2)
        self.pipeline.run("import cadquery as cq\n\nresult = cq.Workplane().box(1, 1, 1)\n")

    def do(self, job: Job) -> None:
        """Work on a request, and tell it what comes."""
        ask = job.ask
        options = replace(self.options, seed=ask.seed, max_new_tokens=ask.max_tokens, stopper=job.stopper, **ask.own)
        job.usage.prompt = self.model.prompt_tokens * len(job.images)
        # Where nothing is drawn by chance, all choices are the same.
        different = 1 if ask.temperature == 0 else ask.n
        draft = is_draft(options)
        for index in range(ask.n):
            job.stopper.check()
            if index < different:
                first = index * (1 if draft else options.candidates) + (1 if ask.temperature else 0)
                choice = self._draft(job, index, first, options) if draft else self._script(job, first, options)
            elif draft:
                job.tell((index, choice.text))
            if not draft:
                for line in choice.text.splitlines(keepends=True):
                    job.tell((index, line))
            job.tell((index, choice))

    def _script(self, job: Job, first: int, options: Options) -> Choice:
        """Return the script that ``cadcoder generate`` prints: chosen, refined, and run."""
        part = self.pipeline.generate(list(job.images), replace(options, drafter=Sampler(self.model, job, first)))
        job.stopper.check()
        return Choice(part.code, "stop", facts(part))

    def _draft(self, job: Job, index: int, first: int, options: Options) -> Choice:
        """Pass on what the model writes, as it writes it; then run it, and say what became of it."""
        ask, text = job.ask, ""
        stream = self.model.stream(
            job.images[0], first, options.seed, options.max_new_tokens, ask.temperature or 1.0, ask.top_p
        )
        for piece in stream:
            job.stopper.check()
            job.tell((index, piece))
            text += piece
        job.usage.completion += stream.tokens
        job.stopper.check()
        outcome = self.pipeline.run(text)
        found = {"outcome": outcome.status, "message": describe(outcome), "origin": "model", "style": "raw"}
        return Choice(text, "length" if stream.cut else "stop", found)


def facts(part: Part) -> dict[str, Any]:
    """Return what an answer tells of its script beside the text."""
    return {
        "outcome": part.outcome.status,
        "origin": part.origin,
        "likeness": part.likeness,
        "style": part.style,
        "unit": part.unit,
        "extents": list(part.extents),
        "candidates": len(part.candidates),
        "valid": sum(c.outcome.ok for c in part.candidates),
        "seconds": round(part.seconds, 3),
    }


def known_fields(options: Options) -> frozenset[str]:
    """Return the fields of our own that a request may set: those that the pipeline's options have."""
    return frozenset(OWN) & {f.name for f in fields(options)}


def is_draft(options: Options) -> bool:
    """Return whether the answer is the model's own text, passed on while it is written and run only then."""
    return options.style == "raw" and not (options.refine and options.effort)


def check(options: Options, ask: Ask) -> None:
    """Raise an :class:`ApiError` if what is asked for is not possible."""
    try:
        wanted = replace(options, **ask.own)
    except CadCoderError as error:
        raise ApiError(400, f"cadcoder: {error}", param="cadcoder") from None
    if is_draft(wanted) and len(ask.pictures) > 1:
        raise ApiError(400, "a draft (style raw, not refined) is of one picture; give one", param="messages")
