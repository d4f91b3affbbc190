"""What decides the bytes of a set besides its command: versions of packages, and the commit of this repository."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cadcoder

#: Version of the layout of a built set.
LAYOUT = 1
#: Packages whose versions decide the bytes.
DECISIVE = ("numpy", "manifold3d", "vtk", "pillow", "pyarrow", "h5py")


def versions() -> dict[str, str]:
    """Return the versions by name; ``absent`` for what is not installed here."""
    found = {"python": platform.python_version(), "layout": str(LAYOUT)}
    for name in DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def fingerprint() -> dict[str, str]:
    """Return the versions, and with them what tells this code from any other: two machines with equal ones agree."""
    told = hashlib.sha256()
    for package in (Path(__file__).parent, Path(cadcoder.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            told.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return versions() | {"code": told.hexdigest()[:12]}


def commit() -> str:
    """Return the commit that this code is of, or ``unknown``."""
    here = Path(__file__).parent
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() if run.returncode == 0 else "unknown"
