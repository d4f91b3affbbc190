"""The zygote's memory is laid out anew without a change to what it holds, and with fewer mappings to copy."""

import subprocess
import sys

import pytest

from cadcoder.sandbox import linux

pytestmark = pytest.mark.skipif(not linux.IS_LINUX, reason="the layout is Linux's")

PROGRAM = """
import hashlib, os
from cadcoder.sandbox import memory

with memory.one_heap():
    import numpy
    kept = [str(i) * 20 for i in range(50_000)]

def mappings():
    return [line.split() for line in open("/proc/self/maps")]

def digest(start, end):
    with open("/proc/self/mem", "rb", 0) as mem:
        return hashlib.sha256(os.pread(mem.fileno(), end - start, start)).hexdigest()

def work():
    return numpy.linalg.inv(numpy.eye(40)), sorted(kept)[:3]

work()
before = len(mappings())
libraries = [line[0].split("-") for line in mappings() if line[1] == "r-xp" and "/" in line[-1]]
parts = [(int(start, 16), int(end, 16)) for start, end in libraries]
code = [digest(*part) for part in parts]
memory.gather(work)
after = mappings()
assert len(after) < before, (before, len(after))
assert not any("w" in line[1] and "x" in line[1] for line in after)
assert parts and code == [digest(*part) for part in parts]
assert kept == [str(i) * 20 for i in range(50_000)]
fresh = [[str(i)] * 3 for i in range(200_000)]
del kept, fresh
pid = os.fork()
if pid == 0:
    more = [bytes(i % 5000) for i in range(20_000)]
    os._exit(7 if numpy.eye(3).sum() == 3 and len(more) == 20_000 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
print("same")
"""


def test_nothing_but_the_layout_changes():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.stdout == "same\n", done.stderr


def test_one_plane_at_a_time_is_the_plane_of_cadquery():
    program = """
import cadquery as cq
from cadcoder.sandbox import warmup

names = [*warmup._PLANES, "xy", "", None, 3, ["XY"]]

def ask(name, *at):
    try:
        plane = cq.Plane.named(name, *at)
    except Exception as error:
        return type(error).__name__, str(error)
    return [v.toTuple() for v in (plane.origin, plane.xDir, plane.yDir, plane.zDir)] + [plane.rG.transposed_list()]

def all_of_them():
    return [ask(name, *at) for name in names for at in ((), ((1, -2.5, 3),), (cq.Vector(4, 5, 6),))]

before = all_of_them()
warmup._make_one_plane_at_a_time()
assert all_of_them() == before
made = []
usual = cq.Plane.__init__
cq.Plane.__init__ = lambda self, *a, **k: made.append(1) or usual(self, *a, **k)
cq.Workplane("XZ")
assert len(made) == 1, made
assert cq.Plane.XZ(origin=(1, 2, 3)).origin.toTuple() == (1, 2, 3)
print("same")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "same\n", done.stderr
