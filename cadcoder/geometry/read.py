"""Solids from files: STEP and BREP through OpenCascade, STL, OBJ, PLY, GLB and OFF through trimesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cadcoder.errors import InputError
from cadcoder.geometry.fallback import solid_or_voxels
from cadcoder.geometry.mesh import solid_from_triangles
from cadcoder.geometry.solid import Solid

STEP_SUFFIXES = (".step", ".stp")
BREP_SUFFIXES = (".brep", ".brp")
MESH_SUFFIXES = (".stl", ".obj", ".ply", ".glb", ".gltf", ".off")
SUFFIXES = STEP_SUFFIXES + BREP_SUFFIXES + MESH_SUFFIXES


def read_solid(path: str | Path, fallback: bool = False) -> Solid:
    """Read a solid, in the file's own unit (STEP: millimetres).

    Args:
        path: a STEP, BREP, STL, OBJ, PLY, GLB or OFF file.
        fallback: where the mesh does not close, take its voxels and say so in the notes (see
            :mod:`~cadcoder.geometry.fallback`).

    Raises:
        InputError: if the file is missing, empty, of another kind, or holds no closed solid.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: not a kind of solid that can be read ({', '.join(SUFFIXES)})")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        if suffix in STEP_SUFFIXES:
            from cadcoder.geometry import occ

            return occ.mesh_shape(occ.read_step(path), fallback=fallback)
        if suffix in BREP_SUFFIXES:
            from cadcoder.geometry import occ

            return occ.mesh_shape(occ.read_brep(path), fallback=fallback)
        return _read_mesh(path, fallback)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def solid_from_brep(data: bytes) -> Solid:
    """Return the solid that BREP bytes describe.

    Raises:
        InputError: if they are not a BREP, or hold no closed solid.
    """
    from cadcoder.geometry import occ

    return occ.mesh_shape(occ.read_brep(data))


def _read_mesh(path: Path, fallback: bool) -> Solid:
    import trimesh

    try:
        loaded: Any = trimesh.load_mesh(path, process=False)
    except Exception as error:  # trimesh raises whatever its parsers meet
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: the mesh cannot be read ({reason})") from None
    if isinstance(loaded, trimesh.Scene):
        loaded = loaded.to_mesh()
    faces = np.asarray(getattr(loaded, "faces", ()))
    if faces.size == 0:
        raise InputError(f"{path}: the file holds no triangles")
    close = solid_or_voxels if fallback else solid_from_triangles
    return close(np.asarray(loaded.vertices), faces)
