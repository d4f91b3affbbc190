"""What all commands share: results on stdout, everything for the person on stderr, and exit codes.

Exit codes: 0 done, 2 a fault that a person can mend, 3 no script that runs, 130 interrupted, 141 the reader of
our output went away.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

from cadcoder.errors import CadCoderError

P = ParamSpec("P")

INTERRUPTED, BROKEN_PIPE = 130, 141


class Console:
    """Messages for the person, on stderr: none but errors with ``-q``, more with ``-v``."""

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.level = 0 if quiet else 2 if verbose else 1

    def info(self, text: str) -> None:
        """Print a message unless quiet."""
        if self.level >= 1:
            _to_stderr(text)

    def detail(self, text: str) -> None:
        """Print a message only if verbose."""
        if self.level >= 2:
            _to_stderr(text)

    @staticmethod
    def error(text: object) -> None:
        """Print an error on one line, quiet or not."""
        _to_stderr("error: " + " ".join(str(text).split()))

    @property
    def lively(self) -> bool:
        """Whether moving displays are wanted: a terminal, and not quiet."""
        return self.level >= 1 and sys.stderr.isatty()

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[], None]]:
        """Show that something is going on, on a terminal only; yields what does nothing."""
        if not self.lively:
            yield lambda: None
            return
        from rich.console import Console as Rich

        with Rich(stderr=True).status(text):
            yield lambda: None

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar with a rate and an estimate, on a terminal only; yields what moves it on by one."""
        if not self.lively:
            yield lambda: None
            return
        from rich import progress
        from rich.console import Console as Rich

        columns = [
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
        ]
        with progress.Progress(*columns, console=Rich(stderr=True), transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("", total=total, rate="")
            start = time.perf_counter()

            def advance() -> None:
                done = bar.tasks[0].completed + 1
                bar.update(task, completed=done, rate=f"{done / (time.perf_counter() - start):.2f}/s")

            yield advance


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def only_results_on_stdout() -> Iterator[Callable[[bytes], None]]:
    """Yield what writes to the real stdout, while all that libraries print there goes to stderr.

    The script must be alone on stdout, and C++ libraries write to file descriptor 1 behind Python's back.
    """
    sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(real, view) :]

    try:
        yield write
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Return the command with our errors as one line and an exit code, and a clean end when interrupted."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except CadCoderError as error:
            Console.error(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            Console.error("interrupted")
            # A thread may be in the middle of importing torch; unwinding the interpreter under it can crash.
            _end(INTERRUPTED)
        except BrokenPipeError:
            _end(BROKEN_PIPE)

    return wrapped


def _end(code: int) -> None:
    """Leave at once, without the flush of a stdout that nobody reads."""
    sys.stderr.flush()
    os._exit(code)
