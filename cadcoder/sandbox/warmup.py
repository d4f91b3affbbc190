"""What the zygote does before it forks anything, so that its children start fast: imports, caches, large pages.

Everything here is our own code and single-threaded: a forked child has only the thread that forked it, and a lock held
by another would be held for ever.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import tempfile
import types
from typing import Any

from cadcoder.sandbox import linux, memory

# Touches what most scripts touch, so that cadquery's dispatch tables and OpenCascade's registries are filled once.
_SCRIPT = """
import math
import cadquery as cq
sketch = cq.Workplane(cq.Plane(cq.Vector(0, 0, 0), cq.Vector(1, 0, 0), cq.Vector(0, 0, 1)))
loop0 = sketch.moveTo(1.0, 0.0).lineTo(1.0, 1.5).threePointArc((0.5, 2.0), (0.0, 1.5)).lineTo(0.0, 0.0).close()
loop1 = sketch.moveTo(0.5, 0.5).circle(0.1)
solid0 = sketch.add(loop0).add(loop1).extrude(0.5)
solid1 = cq.Workplane("XZ", origin=(0, 0, 1)).rect(3, 3).extrude(1, both=True)
solid2 = cq.Workplane("XY").polyline([(0, 0), (1, 0), (0, 1)]).close().extrude(1)
solid3 = cq.Workplane("YZ").pushPoints([(0, 0), (1, 1)]).polygon(6, 0.2).extrude(1)
solid4 = cq.Workplane().box(1, 2, 3).faces(">Z").workplane().hole(0.2).edges("|Z").fillet(0.1)
solid5 = cq.Workplane().slot2D(3, 1).extrude(1).edges(">Z").chamfer(0.1)
solid = solid0.cut(solid1).union(solid2).intersect(solid4)
solid = solid0.translate((1, 0, 0))
"""


def warm_up(many: bool = True) -> None:
    """Import everything a child needs, run a script of ours, and get memory ready for forking.

    Args:
        many: whether it pays to lay memory out for many forks.

    Raises:
        RuntimeError: if a thread was started or the script does not work.
    """
    with memory.one_heap() if many else contextlib.nullcontext():
        _import_and_run()
    if linux.IS_LINUX:
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise RuntimeError(f"{threads - 1} threads were started by an import; the executor cannot fork safely")
    gc.collect()
    gc.freeze()
    if many:
        memory.gather(_run)
    else:
        memory.use_huge_pages()


def _import_and_run() -> None:
    _put_off_vtk()
    from OCP.OSD import OSD_ThreadPool

    # OpenCascade waits for ever for threads that it may not create, and booleans ask for them unless told otherwise.
    OSD_ThreadPool.DefaultPool_s(1)
    _make_one_plane_at_a_time()
    _run()


def _run() -> None:
    """Run a script of ours and judge it, in a folder that is gone afterwards.

    Raises:
        RuntimeError: if it does not work.
    """
    from cadcoder.sandbox import builder, judge
    from cadcoder.sandbox.frames import FrameReader

    here = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="cadcoder-") as folder:
        os.chdir(folder)
        reader = FrameReader()
        reader.feed(builder.build(_SCRIPT, None))
        message, parts = reader.message()
        if message["status"] != "built":
            raise RuntimeError(f"cadquery does not work here: {message.get('message')}")
        judge.judge({"exports": ["step", "stl", "glb"], "mesh": True}, parts["brep"])
        os.chdir(here)


#: The names that ``Plane.named`` knows (CadQuery's documentation, "Plane").
_PLANES = ("XY", "YZ", "ZX", "XZ", "YX", "ZY", "front", "back", "left", "right", "top", "bottom")


def _make_one_plane_at_a_time() -> None:
    """Have ``Plane.named`` make the plane that is asked for; up to CadQuery 2.8 it makes all twelve, and drops eleven.

    Every object on the stack of a Workplane asks for one, which is a quarter of what a script of the GenCAD-Code form
    takes. The directions are CadQuery's own, asked for once; for any other name it is asked as before.
    """
    from cadquery import Plane

    usual = Plane.named
    directions = {}
    for name in _PLANES:
        plane = usual(name)
        directions[name] = plane.xDir.toTuple(), plane.zDir.toTuple()

    def named(cls: type[Plane], stdName: str, origin: Any = (0, 0, 0)) -> Plane:  # noqa: N803 - CadQuery's names
        found = directions.get(stdName) if isinstance(stdName, str) else None
        return usual(stdName, origin) if found is None else Plane(origin, *found)

    Plane.named = classmethod(named)  # type: ignore[assignment]


class _LateModule(types.ModuleType):
    """The ``vtk`` package, loaded when something is first asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        everything = importlib.import_module("vtkmodules.all")
        self.__dict__.update({key: value for key, value in vars(everything).items() if not key.startswith("__")})
        return getattr(everything, name)


def _put_off_vtk() -> None:
    """Keep OCP from loading all 160 libraries of VTK, of which cadquery uses a dozen and imports these by itself.

    They take a third of the start and two thirds of the memory mappings, which every fork copies.
    """
    sys.modules.setdefault("vtk", _LateModule("vtk"))
