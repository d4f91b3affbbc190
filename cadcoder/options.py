"""How a picture becomes a script: what can be asked for, checked before a model is loaded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from cadcoder.errors import CadCoderError, ConfigError
from cadcoder.rewrite import STYLES, Style
from cadcoder.sizes import Size, parse_size

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

#: Effort unless told otherwise, and the highest.
EFFORT, MOST_EFFORT = 2, 3
#: By effort: how many solids are drawn for a fit, as a factor, and how many programs of the bank it may start from.
EFFORTS = {0: (0.0, 0), 1: (0.35, 12), 2: (1.0, 24), 3: (4.0, 48)}


@runtime_checkable
class Drafter(Protocol):
    """Anything that writes scripts for a picture; :class:`cadcoder.model.Model` is one.

    Where it also has ``candidates_batch(images, n, seed, max_new_tokens) -> list[list[str]]``, several pictures
    are handed to it at once.
    """

    def candidates(
        self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int | None = None
    ) -> Sequence[str]:
        """Return ``n`` scripts, the model's best guess first; the same for the same seed."""
        ...


class Stopped(CadCoderError):
    """The work was ended by a :class:`Stopper`."""


class Stopper:
    """Ends the work on a picture, from any thread: what waits is dropped, and no further step begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: set[Future[object]] = set()
        self.stopped = False

    def stop(self) -> None:
        """End the work."""
        with self._lock:
            self.stopped = True
            asked = list(self._asked)
        for future in asked:
            future.cancel()

    def check(self) -> None:
        """Raise :class:`Stopped` where the work is ended."""
        if self.stopped:
            raise Stopped("the work was stopped; nobody waits for it any more")

    def watch(self, future: Future[T]) -> Future[T]:
        """Cancel a step that has not begun when the work ends; return it."""
        with self._lock:
            self._asked.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._asked.discard)
        if self.stopped:
            future.cancel()
        return future


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a picture becomes a script.

    Attributes:
        candidates: how many scripts the model writes, of which the best is taken; at least 1.
        seed: of the sampling; the same seed gives the same script.
        max_new_tokens: a script longer than this is cut off; None is the model's own limit.
        size: real length of a side, such as ``40`` or ``x=40mm``; None leaves the longest side at about 100.
        style: ``editable``, ``plain`` or ``raw``.
        refine: whether the numbers are fitted to the picture; False is the same as effort 0.
        effort: from 0 (the model's script as it is) to 3 (a long search); 2 takes a few seconds.
        drafter: writes in the place of the pipeline's model, for this call alone.
        stopper: what may end the work from elsewhere; the call then raises, soon.

    Raises:
        ConfigError: if a value is not possible; all faults at once.
        InputError: if the size cannot be read.
    """

    candidates: int = 1
    seed: int = 0
    max_new_tokens: int | None = None
    size: Size | str | float | None = None
    style: Style = "editable"
    refine: bool = True
    effort: int = EFFORT
    drafter: Drafter | None = None
    stopper: Stopper | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.candidates < 1:
            faults.append(f"candidates must be at least 1, not {self.candidates}")
        if not 0 <= self.seed < 2**63:
            faults.append(f"seed must be a whole number from 0 to 2^63, not {self.seed}")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            faults.append(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if self.style not in STYLES:
            faults.append(f"style must be one of {', '.join(STYLES)}, not {self.style!r}")
        if self.effort not in EFFORTS:
            faults.append(f"effort must be from 0 to {MOST_EFFORT}, not {self.effort}")
        if faults:
            raise ConfigError("; ".join(faults))
        if self.size is not None:
            object.__setattr__(self, "size", parse_size(self.size))

    @property
    def fits(self) -> bool:
        """Whether anything is fitted to the picture; what is to stay as the model wrote it is not."""
        return self.refine and self.effort > 0 and self.style != "raw"

    @property
    def tries(self) -> float:
        """How many solids are drawn for a fit, as a factor of what is usual."""
        return EFFORTS[self.effort][0]

    @property
    def retrieved(self) -> int:
        """How many programs of the bank a fit may start from."""
        return EFFORTS[self.effort][1]
