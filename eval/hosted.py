"""A model behind an API: the conversation about one part, turn by turn, and many parts at once."""

from __future__ import annotations

import io
import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cadcoder.errors import CadCoderError, ConfigError
from eval.answers import NO_SCRIPT, Answer, Means
from eval.calls import Caller, Stopped
from eval.client import Fault, Message, Request
from eval.extract import extract, is_cut
from eval.money import MAX_TOKENS, OverBudget
from eval.prompting import Prompt
from eval.suites import Item

#: A message of the executor longer than this is cut before it is sent back.
LONGEST_ERROR = 1500


@dataclass
class _Talk:
    """A conversation so far."""

    messages: list[Message]
    calls: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    cost: Decimal | None = Decimal(0)
    seconds: float = 0.0
    tries: int = 0
    trail: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Said:
    """One answer, read: a script, or the name of why there is none."""

    text: str
    code: str | None
    outcome: str = ""
    message: str = ""


class Hosted:
    """Answers through an API."""

    def __init__(
        self, caller: Caller, prompt: Prompt, turns: Mapping[str, Prompt], means: Means, repeat: int = 0
    ) -> None:
        """Take the means.

        Args:
            caller: puts the questions.
            prompt: how it is asked.
            turns: prompts of later turns by group.
            means: of the harness.
            repeat: which time the same is asked.
        """
        self.caller, self.prompt, self.turns, self.means, self.repeat = caller, prompt, turns, means, repeat
        spec = caller.spec
        self.shown = bool(spec.get("picture", True))
        known = {"max_tokens": spec.get("max_tokens", MAX_TOKENS)}
        known |= {name: spec.get(name) for name in ("temperature", "seed") if spec.get(name) is not None}
        self.settings = tuple(sorted(known.items()))
        self._at_once = int(spec.get("at_once", 4))

    def answers(self, items: Sequence[Item]) -> Iterator[tuple[Item, Answer]]:
        """Yield parts with their answers as they come.

        Raises:
            ConfigError: if the provider refuses the key, or has no such model.
        """
        done: queue.Queue[tuple[Item, Answer | BaseException | None]] = queue.Queue()

        def work(item: Item) -> None:
            try:
                done.put((item, self.answer(item)))
            except (OverBudget, Stopped):
                done.put((item, None))
            except BaseException as error:
                done.put((item, error))

        with ThreadPoolExecutor(self._at_once, thread_name_prefix="cadcoder-ask") as pool:
            try:
                for item in items:
                    pool.submit(work, item)
                for _ in items:
                    item, answer = done.get()
                    if isinstance(answer, Fault) and answer.ends:
                        raise ConfigError(f"{self.caller.spec.label} cannot be asked: {answer}")
                    if isinstance(answer, BaseException):
                        raise answer
                    if answer is not None:
                        yield item, answer
            finally:
                # Those in flight are waited for: their answers are paid for, and kept.
                pool.shutdown(wait=False, cancel_futures=True)
                self.caller.stop()

    def answer(self, item: Item) -> Answer:
        """Return the answer for one part.

        Raises:
            OverBudget: if the budget ends before the conversation does.
            Stopped: if the run is ending.
            Fault: if no question to this model will be answered.
        """
        talk = _Talk([])
        try:
            picture = self._opened(item, talk)
            said, made = self._drafted(talk)
            for _ in range(self.prompt.looks if made is not None else 0):
                drawing = self.means.draw(made)
                shown = (picture[0], drawing) if self.shown else ()
                talk.messages += [Message("assistant", said.text), Message("user", self.prompt.look, shown)]
                later, remade = self._drafted(talk)
                if remade is None:
                    talk.trail.append({"kept": "the draft before", "why": later.outcome or "it did not run"})
                    break
                said, made = later, remade
            first = None
            for group in item.turns:
                first = said.code
                if said.code is None:
                    break
                talk.messages += [Message("assistant", said.text), Message("user", self.turns[group].user)]
                said = self._asked(talk)
        except Fault as fault:
            if fault.ends:
                raise
            if fault.kind == "rejected":
                return self._answer(talk, None, "refused", f"the provider rejects the question: {fault}")
            return self._answer(talk, None, "harness_error", f"no answer came ({fault.kind}): {fault}")
        return self._answer(talk, said.code, said.outcome, said.message, first)

    def _opened(self, item: Item, talk: _Talk) -> list[bytes]:
        """Put the prompt's opening into a conversation; return the part's pictures as PNG."""
        from cadcoder.pictures import load

        images = [load(path) for path in item.pictures]
        picture = [_png(image) for image in images]
        if self.prompt.system:
            talk.messages.append(Message("system", self.prompt.system))
        if self.prompt.examples:
            try:
                for drawing, code in self.means.examples(images[0], self.prompt.examples):
                    shown = (drawing,) if self.shown else ()
                    talk.messages += [Message("user", self.prompt.example, shown), Message("assistant", code.strip())]
            except CadCoderError as error:
                talk.trail.append({"examples": "none", "why": str(error)})
        talk.messages.append(Message("user", self.prompt.user, tuple(picture) if self.shown else ()))
        return picture

    def _asked(self, talk: _Talk) -> _Said:
        spec = self.caller.spec
        request = Request(
            spec.provider, spec.get("base_url"), self._model(), tuple(talk.messages), self.settings, self.repeat
        )
        found = self.caller.call(request)
        talk.calls.append(found.key)
        talk.tokens[0] += found.reply.tokens_in
        talk.tokens[1] += found.reply.tokens_out
        talk.cost = None if talk.cost is None or found.cost is None else talk.cost + found.cost
        talk.seconds += found.reply.seconds
        talk.tries += found.tries
        return read_reply(found.reply.text, found.reply.finish)

    def _model(self) -> str:
        # Without a name the server is asked for its only model, which opens the connection.
        return self.caller.spec.name or self.caller.client.model

    def _drafted(self, talk: _Talk) -> tuple[_Said, Any]:
        """Ask, and repair as often as the prompt allows; return the answer and what it made, None for nothing."""
        watched = self.prompt.repairs or self.prompt.looks
        for left in range(self.prompt.repairs, -1, -1):
            said = self._asked(talk)
            if not watched:
                return said, None
            outcome = self.means.run(said.code) if said.code is not None else None
            if outcome is not None and outcome.ok:
                return said, outcome
            if not left or said.outcome in ("refused", "empty"):
                break
            if outcome is not None:
                where = f" in line {outcome.line}" if outcome.line else ""
                error = f"{outcome.status}{where}: {outcome.message}"
            else:
                error = NO_SCRIPT.get(said.outcome, said.outcome)
            talk.trail.append({"draft": said.outcome or (outcome.status if outcome else ""), "message": error[:300]})
            text = self.prompt.repair.replace("{error}", error[:LONGEST_ERROR])
            talk.messages += [Message("assistant", said.text or "(nothing)"), Message("user", text)]
        return said, None

    def _answer(self, talk: _Talk, code: str | None, outcome: str, message: str, first: str | None = None) -> Answer:
        return Answer(
            code,
            outcome,
            message or NO_SCRIPT.get(outcome, ""),
            first,
            round(talk.seconds, 3),
            tuple(talk.calls),
            talk.tokens[0],
            talk.tokens[1],
            talk.cost,
            talk.tries,
            () if self.shown else ("the picture was not sent: the model reads text alone",),
            tuple(talk.trail),
        )

    def close(self) -> None:
        """End the connection."""
        self.caller.close()


def read_reply(text: str, finish: str) -> _Said:
    """Return what an answer holds.

    Args:
        text: of the answer.
        finish: as :class:`eval.client.Reply` has it.
    """
    if finish == "refused":
        return _Said(text, None, "refused", " ".join(text.split())[:200] or NO_SCRIPT["refused"])
    if not text.strip():
        cut = finish == "length"
        return _Said(text, None, "truncated" if cut else "empty", NO_SCRIPT["truncated" if cut else "empty"])
    code = extract(text)
    if finish == "length" and (code is None or is_cut(text, code)):
        return _Said(text, None, "truncated", NO_SCRIPT["truncated"])
    if code is None:
        said = " ".join(text.split())[:200]
        return _Said(text, None, "refused" if _declines(said) else "no_code", said)
    return _Said(text, code)


def _declines(text: str) -> bool:
    """Return whether an answer without a script says no in so many words."""
    start = text.lower()[:120].replace("\u2019", "'")
    signs = ("i can't", "i cannot", "i'm unable", "i am unable", "i'm sorry", "i am sorry", "i won't", "sorry, ")
    return any(sign in start for sign in signs)


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
