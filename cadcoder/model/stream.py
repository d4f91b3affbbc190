"""Scripts as text, piece by piece, while the model writes them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeAlias

#: What one step of decoding wrote: (row, token id) of every sequence that is still written.
Step: TypeAlias = "list[tuple[int, int]]"
#: Steps of decoding; at the end, whether every sequence ended by itself and none was cut off.
Steps: TypeAlias = Generator[Step, None, bool]

_FENCE = "```"


class Tidy:
    """Takes a Markdown fence and the white space around a script off while it is written.

    What comes out, joined, is what :func:`cadcoder.model.generate.clean` makes of the whole, but for one case: words
    before a fence are passed on, since nothing tells yet that a fence will come.
    """

    def __init__(self) -> None:
        self._held = ""
        self._started = self._fenced = self._over = self._wrote = False

    def feed(self, piece: str) -> str:
        """Take a piece of the text, and return what of the script is certain now."""
        if self._over:
            return ""
        self._held += piece
        if not self._started and not self._begin():
            return ""
        if not self._wrote:
            self._held = self._held.lstrip()
        if self._fenced and _FENCE in self._held:
            self._held, self._over = self._held.partition(_FENCE)[0], True
            return ""
        # White space at the end may be dropped, and a backtick may begin the closing fence.
        certain = len((self._held.rstrip("`") if self._fenced else self._held).rstrip())
        out, self._held = self._held[:certain], self._held[certain:]
        self._wrote = self._wrote or bool(out)
        return out

    def _begin(self) -> bool:
        """Find out whether the text starts with a fence; return whether that is known."""
        text = self._held.lstrip()
        if len(text) < len(_FENCE) and _FENCE.startswith(text):
            return False
        if text.startswith(_FENCE):
            line, newline, rest = text[len(_FENCE) :].partition("\n")
            if not newline:
                return False
            named = f"{line}\n"[:6].lower().startswith(("python", "py\n", "\n"))
            self._held, self._fenced = rest if named else f"{line}\n{rest}", True
        self._started = True
        return True

    def end(self) -> str:
        """Return what is left when the text has ended: a script ends in one newline."""
        left = self._held
        if not self._started and left.lstrip().startswith(_FENCE):
            left = left.lstrip()[len(_FENCE) :].partition(_FENCE)[0]
        left, self._held = (left if self._wrote else left.lstrip()).rstrip(), ""
        return f"{left}\n" if left or self._wrote else ""


class Written:
    """One script's text out of its tokens, as they come."""

    def __init__(self, tokenizer: Any) -> None:
        """Take the checkpoint's tokenizer."""
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._decode: Any = DecodeStream(skip_special_tokens=True)
        self._tidy = Tidy()
        self._ids: list[int] = []
        self._length = 0

    @property
    def tokens(self) -> int:
        """Number of tokens so far."""
        return len(self._ids)

    def feed(self, token: int) -> str:
        """Return the text that is certain after one more token; often empty, as half a character is."""
        self._ids.append(token)
        piece = self._decode.step(self._tokenizer.backend_tokenizer, token) or ""
        self._length += len(piece)
        return self._tidy.feed(piece)

    def end(self) -> str:
        """Return the rest of the text."""
        whole: str = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        return self._tidy.feed(whole[self._length :]) + self._tidy.end()


class TextStream(Iterator[str]):
    """The pieces of one script; decoding goes on while they are asked for, and stops when they are not.

    Attributes:
        cut: whether the script was cut off at its longest length; known at the end.
    """

    def __init__(self, steps: Steps, tokenizer: Any) -> None:
        """Take the steps of decoding one sequence; use :meth:`cadcoder.model.Model.stream`."""
        self.cut = False
        self._written = Written(tokenizer)
        self._pieces = self._text(steps)

    @property
    def tokens(self) -> int:
        """Number of tokens that were written so far."""
        return self._written.tokens

    def _text(self, steps: Steps) -> Iterator[str]:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                self.cut = not end.value
                break
            for _, token in step:
                yield self._written.feed(token)
        yield self._written.end()

    def __next__(self) -> str:
        while not (piece := next(self._pieces)):
            pass
        return piece

    def close(self) -> None:
        """Stop decoding."""
        self._pieces.close()  # type: ignore[attr-defined]
