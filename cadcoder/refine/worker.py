"""What a worker process of :mod:`cadcoder.refine.pool` does, and the jobs that it knows.

Drawing and fitting hold one core each; a process of its own gives each worker its own VTK window and Python lock, and
leaves the parent's free for the model. Jobs come on standard input, answers go to standard output. No script is ever
executed here.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.refine.fit import fit
from cadcoder.refine.frames import read_frame, write_frame
from cadcoder.refine.grow import grow
from cadcoder.refine.poses import Guess, Views
from cadcoder.refine.retrieve import pose, retrieve
from cadcoder.render.compare import likeness, observe

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid


def part_likeness(code: str, solid: Solid, views: Views, search: bool = True) -> Guess:
    """Return how alike a script's part and some pictures of it are, and where they would be taken from.

    Where the script can be read, its own faces are drawn, with the edges between them that a picture of a CAD
    model shows; the executor's mesh knows only those at an angle.

    Args:
        code: the script.
        solid: what it built.
        views: the pictures, prepared.
        search: whether to look for cameras that are not known; otherwise the views' own are taken.
    """
    try:
        built = build(parse(code))
    except InputError:
        built = solid
    return pose(code, built, views, search)


#: What can be asked of a worker, by name.
JOBS: dict[str, Callable[..., Any]] = {
    "observe": observe,
    "likeness": part_likeness,
    "retrieve": retrieve,
    "fit": fit,
    "grow": grow,
}


def warm_up() -> None:
    """Load what the jobs need and open the window, on a picture of nothing in particular."""
    picture = np.full((96, 96, 3), 255, dtype=np.uint8)
    picture[30:66, 20:76] = 128
    plate = build(parse('import cadquery as cq\n\nresult = cq.Workplane("XY").rect(60, 40).circle(9).extrude(30)\n'))
    likeness(observe(picture), plate)


def main() -> None:
    """Answer jobs until standard input closes."""
    # The parent decides what an interrupt means; when it ends, standard input closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    warm_up()
    gc.collect()
    gc.freeze()
    write_frame(answers, "ready")
    while True:
        name, args, kwargs = jobs.get()
        try:
            answer = True, JOBS[name](*args, **kwargs)
        except Exception as error:
            answer = False, error
        write_frame(answers, answer)


def _read(jobs: queue.SimpleQueue[Any]) -> None:
    """Hand on jobs; end the process when nobody can ask any more, even in the middle of a job."""
    try:
        while True:
            jobs.put(read_frame(sys.stdin.buffer))
    finally:
        os._exit(0)
