"""The zygote: a warm process that has imported cadquery and forks children from it; it never runs untrusted code.

Started by the supervisor in a clean interpreter with an empty environment, it goes through three stages. The *janitor*
(the process the supervisor started) forks and waits, to remove the folder at the end. The *root zygote* enters the
namespaces, imports, and shuts itself into a file system of libraries. It forks *servers*, one for each worker, which
fork builders and judges on request. All of them speak only with the supervisor; geometry and scripts pass them by, on
sockets that they hand to their children and close.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Collection
from typing import NoReturn

from cadcoder.sandbox import layers, linux, seccomp
from cadcoder.sandbox.frames import encode
from cadcoder.sandbox.layers import Plan
from cadcoder.sandbox.probe import probe_child_layers, probe_namespaces
from cadcoder.sandbox.server import Server, peak_bytes
from cadcoder.sandbox.warmup import warm_up


def main(fd: int, without: Collection[str], many: bool) -> NoReturn:
    """Serve the supervisor at the other end of a socket until it closes.

    Args:
        fd: The socket.
        without: Layers to leave out.
        many: Whether many scripts are to be expected.
    """
    control = socket.socket(fileno=fd)
    folder = tempfile.mkdtemp(prefix="cadcoder-")
    namespaces, lost = probe_namespaces(folder, layers.readable_paths(_library_paths()), without)
    layers.enter_namespaces(namespaces)
    pid = os.fork()
    if pid:
        control.close()
        os.waitpid(pid, 0)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    if linux.IS_LINUX:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    home = os.path.join(folder, "home")  # some packages write a cache there when they are imported
    os.mkdir(home)
    os.environ["HOME"] = home
    warm_up(many)
    shutil.rmtree(home)
    readable = layers.readable_paths(_library_paths())
    own_pid_ns = os.open("/proc/self/ns/pid", os.O_RDONLY) if "pid_ns" in namespaces else None
    base_bytes = _address_space()
    if "root_fs" in namespaces:
        layers.build_root(folder, readable)
    with contextlib.suppress(OSError):
        seccomp.program(1, platform.machine())
    child_layers, missing = probe_child_layers(Plan(namespaces, (), readable, base_bytes), folder, without)
    plan = Plan(namespaces, child_layers, readable, base_bytes)
    ready = {"layers": plan.names, "missing": lost | missing, "folder": folder, "idle_peak": _idle_peak()}
    control.sendall(encode(ready))
    Server(control, plan, own_pid_ns).serve()
    os._exit(0)


def _idle_peak() -> int:
    """Peak resident bytes of a child that does nothing."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return peak_bytes(os.wait4(pid, 0)[2])


def _library_paths() -> list[str]:
    """The folders that hold Python, its packages and the shared libraries in use; nothing of the caller's own."""
    paths = [
        path for key, path in sysconfig.get_paths().items() if key in ("stdlib", "platstdlib", "purelib", "platlib")
    ]
    paths.append(os.path.dirname(os.__file__))
    for name in ("cadquery", "OCP", "numpy", "scipy", "vtkmodules"):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin:
            paths.append(os.path.dirname(origin))
    if linux.IS_LINUX:
        with open("/proc/self/maps") as maps:
            for line in maps:
                path = line.split(maxsplit=5)[-1].strip()
                if path.startswith("/") and ".so" in os.path.basename(path):
                    paths.append(os.path.dirname(path))
    return paths


def _address_space() -> int:
    """Bytes of address space mapped by this process; 0 where unknown."""
    if not linux.IS_LINUX:
        return 0
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
