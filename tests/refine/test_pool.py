"""Workers: the same answers as at home, errors that travel, and a worker's death that loses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from cadcoder.refine import refine
from cadcoder.refine.fit import fit
from cadcoder.refine.pool import Pool
from cadcoder.refine.worker import part_likeness
from cadcoder.render.compare import observe
from cadcoder.render.gencad import render_gencad

pytestmark = pytest.mark.usefixtures("cold")
PLATE = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(100, 60).circle(10).extrude(12)\n'
WRONG = 'import cadquery as cq\n\nresult = cq.Workplane("XY").rect(90, 70).circle(16).extrude(20)\n'
RING = 'import cadquery as cq\n\nresult = cq.Workplane("XY").circle(50).circle(20).extrude(8)\n'
PICTURE = render_gencad(build(parse(PLATE)))


@pytest.fixture(scope="module")
def pool(cold: None) -> Iterator[Pool]:
    made = Pool(2)
    yield made
    made.close()


def test_a_worker_answers_as_this_process_does(pool: Pool) -> None:
    here, there = observe(PICTURE), pool.submit("observe", PICTURE).result(300)
    assert there.camera == here.camera
    assert there.edges == here.edges
    for name in ("mask", "cover", "grey", "points", "weights", "distance"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    solid = build(parse(WRONG))
    assert pool.submit("likeness", WRONG, solid, (here,)).result(300) == part_likeness(WRONG, solid, (here,))
    assert pool.submit("fit", WRONG, here, tries=40, seed=2).result(300) == fit(WRONG, here, tries=40, seed=2)


def test_the_number_of_workers_makes_no_difference(pool: Pool) -> None:
    seen = observe(PICTURE)
    alone = refine([WRONG, RING], seen, tries=80, seed=1)
    assert alone is not None
    assert alone.likeness > alone.first
    assert refine([WRONG, RING], seen, tries=80, seed=1, submit=pool.submit) == alone
    single = Pool(1)
    assert refine([WRONG, RING], seen, tries=80, seed=1, submit=single.submit) == alone
    single.close()


def test_errors_come_back_as_they_are(pool: Pool) -> None:
    with pytest.raises(InputError, match="nothing stands out"):
        pool.submit("observe", np.full((64, 64, 3), 255, dtype=np.uint8)).result(300)


def test_a_worker_that_dies_loses_no_job() -> None:
    pool = Pool(1)
    seen = pool.submit("observe", PICTURE).result(300)
    long = pool.submit("fit", WRONG, seen, tries=120, seed=5)
    (worker,) = pool._workers
    time.sleep(0.05)
    assert not long.done()
    os.kill(worker._process.pid, signal.SIGKILL)
    assert long.result(300) == fit(WRONG, seen, tries=120, seed=5)
    # The next job has a new worker.
    assert pool.submit("likeness", PLATE, build(parse(PLATE)), (seen,)).result(300).likeness > 0.95
    assert len(pool._workers) == 1
    assert pool._workers[0] is not worker
    pool.close()


def test_without_processes_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    pool = Pool(2)
    assert pool.submit("likeness", PLATE, build(parse(PLATE)), (observe(PICTURE),)).result(300).likeness > 0.95
    assert not pool._workers
    pool.close()


def test_closing_ends_the_workers_and_their_jobs() -> None:
    pool = Pool(1)
    seen = pool.submit("observe", PICTURE).result(300)
    process = pool._workers[0]._process
    futures = [pool.submit("fit", WRONG, seen, tries=5000) for _ in range(2)]
    pool.close()
    for future in futures:
        with pytest.raises(InputError, match="closed"):
            future.result(20)
    assert process.wait(20) < 0
    with pytest.raises(InputError, match="closed"):
        pool.submit("observe", PICTURE)
