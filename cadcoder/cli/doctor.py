"""``cadcoder doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

import typer

from cadcoder import __version__
from cadcoder.cli.unsafe import UnsafeSandbox

_SCRIPT = 'import cadquery as cq\nresult = cq.Workplane("XY").box(20, 10, 5)\n'


def doctor_command(unsafe_sandbox: UnsafeSandbox = None) -> None:
    """Check that everything is here that cadcoder needs; exit code 1 if something is missing."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("cadcoder", lambda: f"{__version__}, Python {platform.python_version()}, {platform.platform()}"),
        ("cores", lambda: str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())),
        ("packages", _packages),
        ("torch", _torch),
        ("default model", _default_model),
        ("executor", _executor),
        ("drawing", _drawing),
        ("photos extra", _photos),
    ]
    missing = 0
    for name, check in checks:
        start = time.perf_counter()
        try:
            mark, text = "ok", check()
        except _Optional as error:
            mark, text = "--", str(error)
        except Exception as error:  # whatever is broken here is what the person wants to see
            mark, text = "NO", f"{type(error).__name__}: {' '.join(str(error).split())}"
            text = "\n".join([text, *_layer_lines(getattr(error, "layers", ()), getattr(error, "missing", {}))])
            missing += 1
        first, *more = text.splitlines()
        print(f"{mark}  {name + ':':15} {first}  ({time.perf_counter() - start:.1f} s)", *more, sep="\n", flush=True)
    if missing:
        print(f"error: {missing} of {len(checks)} checks failed", file=sys.stderr)
        raise typer.Exit(1)


class _Optional(Exception):
    """Something is not here that is not needed."""


def _packages() -> str:
    names = ("transformers", "cadquery", "manifold3d", "trimesh", "vtk", "numpy", "scipy", "pillow")
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _torch() -> str:
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return f"{torch.__version__}, {', '.join(devices)}, {torch.get_num_threads()} threads"


def _default_model() -> str:
    from cadcoder.model import Model

    model = Model.load(None, device="cpu")
    return str(getattr(model, "name", "present"))


def _executor() -> str:
    from cadcoder.sandbox import Executor

    with Executor(workers=1, many=False) as executor:
        outcome = executor.run(_SCRIPT, exports=())
        missing, strength = executor.missing, executor.strength
    if not outcome.ok:
        raise RuntimeError(f"a box is refused: {outcome.status}: {outcome.message}")
    first = f"runs scripts; the sandbox is {strength}, {len(outcome.layers)} layers of {len(_layers())}"
    return "\n".join([first, *_layer_lines(outcome.layers, missing)])


def _layers() -> dict[str, str]:
    from cadcoder.sandbox.layers import LAYERS

    return LAYERS


def _layer_lines(active: Sequence[str], missing: Mapping[str, str]) -> list[str]:
    """Return a line for each layer of the sandbox: working, and what it does, or missing, and why."""
    if not active and not missing:
        return []
    return [
        f"      {name:<14} " + (f"works: {what}" if name in active else f"MISSING: {missing.get(name, 'unknown')}")
        for name, what in _layers().items()
    ]


def _drawing() -> str:
    import numpy as np

    from cadcoder.geometry.solid import Solid
    from cadcoder.render.gencad import render_gencad

    corners = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    picture = render_gencad(Solid(corners, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    if picture.shape != (448, 448, 3) or not (np.asarray(picture) < 250).any():
        raise RuntimeError("the picture of a tetrahedron is empty")
    return "VTK draws without a display"


def _photos() -> str:
    try:
        return f"pillow-heif {metadata.version('pillow-heif')}"
    except metadata.PackageNotFoundError:
        raise _Optional("not installed; HEIC photographs need it: pip install 'cadcoder[photos]'") from None
