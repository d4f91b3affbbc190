"""How much a script may use, and the resource limits that hold it there from inside."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

MEGABYTE = 1_000_000
THREADS = 256


@dataclass(frozen=True)
class Limits:
    """The caps on one script; the judge that measures its geometry works under the same ones.

    Attributes:
        seconds: Wall-clock seconds for the script, and again for the judge.
        memory_mb: MB that it may allocate beyond what the warm process holds.
        file_mb: MB of its whole working folder where it is a tmpfs, else of each file.
        files: Number of files in its working folder where it is a tmpfs.
        open_files: Number of open descriptors.
        threads: Number of processes and threads, where the kernel counts them for this sandbox alone.
        output_bytes: Bytes of stdout and stderr after which the script is stopped.
        kept_output_bytes: Bytes of them that are kept.
        code_bytes: Largest script.
        geometry_bytes: Largest geometry, and largest sum of exports.
    """

    seconds: float = 10.0
    memory_mb: int = 2048
    file_mb: int = 128
    files: int = 1000
    open_files: int = 64
    threads: int = THREADS
    output_bytes: int = 1 << 20
    kept_output_bytes: int = 1 << 14
    code_bytes: int = 1 << 20
    geometry_bytes: int = 128 << 20

    def to_json(self) -> dict[str, Any]:
        """As plain data, for the wire."""
        return asdict(self)


def apply(limits: Limits, base_bytes: int, own_user_namespace: bool) -> None:
    """Set this process's resource limits, soft and hard.

    Args:
        limits: The caps.
        base_bytes: Address space that the warm process already has mapped.
        own_user_namespace: Whether processes are counted for this sandbox alone. Elsewhere the count is of everything
            the user runs, and a thread refused makes OpenCascade wait for ever, so there it is left alone.
    """
    cpu = math.ceil(limits.seconds) * 2 + 1  # the wall clock comes first; this ends what nobody is left to kill
    space = base_bytes + limits.memory_mb * MEGABYTE
    _set("RLIMIT_CPU", cpu)
    _set("RLIMIT_AS", space)
    _set("RLIMIT_DATA", space)
    _set("RLIMIT_FSIZE", limits.file_mb * MEGABYTE)
    _set("RLIMIT_NOFILE", limits.open_files)
    _set("RLIMIT_CORE", 0)
    _set("RLIMIT_MEMLOCK", 0)
    _set("RLIMIT_MSGQUEUE", 0)
    if own_user_namespace:
        _set("RLIMIT_NPROC", limits.threads)


def _set(name: str, value: int) -> None:
    import resource  # not on Windows, where this is never called

    kind = getattr(resource, name, None)
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (ValueError, OSError):
        # macOS refuses RLIMIT_AS and RLIMIT_DATA below what is mapped; the other layers stand.
        if name not in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_MSGQUEUE", "RLIMIT_NPROC"):
            raise
