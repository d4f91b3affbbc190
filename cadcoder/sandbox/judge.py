"""The judge: a fresh child without untrusted code that reads the geometry bytes back, checks and measures them.

It runs under the same layers and limits as the builder, because the bytes were written by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cadcoder.sandbox import exports, shapes
from cadcoder.sandbox.frames import encode

MAX_EXTENT = 1e9


def judge(job: dict[str, Any], brep: bytes) -> bytes:
    """The verdict on some geometry, as a frame.

    Args:
        job: ``exports`` (names) and ``mesh`` (bool).
        brep: What the builder sent.

    Returns:
        A frame with ``problem`` (a line, or null for a valid solid), ``volume``, ``bounds``, ``n_solids`` where they
        could be measured, and the parts ``brep``, ``vertices``, ``faces`` and one for each export.
    """
    try:
        return _judge(job, brep)
    except MemoryError:
        return encode({"problem": "measuring the result ran out of memory", "out_of_memory": True})
    except Exception as error:
        # OpenCascade's exceptions have no common base in Python. Anything else is a fault of ours and goes up.
        if not (isinstance(error, (RuntimeError, ValueError)) or type(error).__module__.startswith("OCP")):
            raise
        return encode({"problem": f"OpenCascade cannot work with the result ({type(error).__name__}: {error})"[:300]})


def _judge(job: dict[str, Any], brep: bytes) -> bytes:
    solids = shapes.solids_of(shapes.read_brep(brep))
    if not solids:
        return encode({"problem": "the result holds no solid"})
    volumes = [shapes.volume(solid) for solid in solids]
    # Some constructions (a revolution backwards) leave a solid inside out.
    solids = [solid.Reversed() if v < 0 else solid for solid, v in zip(solids, volumes, strict=True)]
    shape = solids[0] if len(solids) == 1 else shapes.compound(solids)
    volume = sum(map(abs, volumes))
    bounds = shapes.bounds(shape)
    verdict: dict[str, Any] = {"n_solids": len(solids)}
    extent = max((abs(x) for x in (*bounds, volume)), default=math.inf)
    if not math.isfinite(extent) or max(abs(x) for x in bounds) > MAX_EXTENT:
        return encode({**verdict, "problem": "the result reaches beyond every sensible size"})
    verdict |= {"volume": volume, "bounds": [list(bounds[:3]), list(bounds[3:])]}
    verdict["problem"] = _problem(solids, volume)
    parts = {"brep": shapes.write_brep(shape)}
    if verdict["problem"] is None or job["mesh"]:
        parts |= _mesh_and_files(shape, bounds, job["mesh"], job["exports"])
    return encode(verdict, parts)


def _problem(solids: Sequence[Any], volume: float) -> str | None:
    if not volume > 0:
        return "the solid has no volume"
    for solid in solids:
        reason = shapes.fault(solid)
        if reason:
            return f"OpenCascade's check finds the solid invalid ({reason})"
    return None


def _mesh_and_files(shape: Any, bounds: tuple[float, ...], mesh: bool, names: Sequence[str]) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    diagonal = math.dist(bounds[:3], bounds[3:])
    if "step" in names:
        parts["step"] = exports.step(shape)
    if mesh or set(names) & {"stl", "glb"}:
        shapes.tessellate(shape, diagonal)
        vertices, faces = shapes.mesh_arrays(shape, diagonal)
        if not shapes.closed(faces):
            shapes.tessellate(shape, diagonal, careful=True)
            vertices, faces = shapes.mesh_arrays(shape, diagonal)
        if mesh:
            parts |= {"vertices": vertices.tobytes(), "faces": faces.tobytes()}
    if "stl" in names:
        parts["stl"] = exports.stl(shape)
    if "glb" in names:
        parts["glb"] = exports.glb(shape)
    return parts
