"""Work that is ended from elsewhere, and a drafter for one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from cadcoder.options import Stopped, Stopper
from cadcoder.pipeline import Options, Pipeline

PICTURE = Path(__file__).resolve().parents[2] / "examples" / "guide_rail.png"
BOX = 'import cadquery as cq\nresult = cq.Workplane("XY").rect(10, 20).extrude(5)\n'
SLEEPY = "import cadquery as cq\nfor i in range(10**9):\n    pass\n# {}\n"


class Says:
    """Writes what it is told, after doing what it is told."""

    def __init__(self, *scripts: str, before: Stopper | None = None) -> None:
        self._scripts, self._before = scripts, before

    def candidates(
        self, image: Image.Image, n: int = 1, seed: int = 0, max_new_tokens: int | None = None
    ) -> Sequence[str]:
        if self._before is not None:
            self._before.stop()
        return self._scripts


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(Says(BOX), workers=1, timeout=2) as opened:
        yield opened


def test_a_call_may_bring_its_own_drafter(pipeline: Pipeline) -> None:
    other = BOX.replace("20", "30")
    options = Options(refine=False, style="raw")
    assert pipeline.generate(PICTURE, Options(refine=False, style="raw", drafter=Says(other))).code == other
    assert pipeline.generate(PICTURE, options).code == BOX


def test_nothing_begins_after_the_stop(pipeline: Pipeline) -> None:
    stopper = Stopper()
    scripts = [SLEEPY.format(i) for i in range(8)]
    start = time.monotonic()
    with pytest.raises(Stopped):
        pipeline.generate(PICTURE, Options(stopper=stopper, drafter=Says(*scripts, before=stopper), candidates=8))
    assert time.monotonic() - start < 10
    assert pipeline.generate(PICTURE, Options(refine=False, style="raw")).code == BOX


def test_a_stop_in_the_middle(pipeline: Pipeline) -> None:
    stopper = Stopper()
    scripts = [SLEEPY.format(i) for i in range(20)]
    timer = threading.Timer(1, stopper.stop)
    timer.start()
    start = time.monotonic()
    # One worker and 2 s a script: 40 s unless it is stopped.
    with pytest.raises(Stopped):
        pipeline.generate(PICTURE, Options(stopper=stopper, drafter=Says(*scripts), candidates=20))
    assert time.monotonic() - start < 20


def test_steps_that_wait_are_cancelled() -> None:
    from concurrent.futures import Future

    stopper = Stopper()
    waiting, running, done, late = Future(), Future(), Future(), Future()  # type: ignore[var-annotated]
    running.set_running_or_notify_cancel()
    for future in (waiting, running, done):
        assert stopper.watch(future) is future
    done.set_result(1)
    stopper.check()
    stopper.stop()
    assert [f.cancelled() for f in (waiting, running, done)] == [True, False, False]
    assert stopper.watch(late).cancelled()
    with pytest.raises(Stopped):
        stopper.check()
