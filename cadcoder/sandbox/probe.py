"""What of the sandbox this machine has: each layer is put on once in a disposable process, and must then be felt.

A kernel may take a call and do nothing (a container's own filter, a build without the feature), so a layer counts only
if what it forbids fails afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from cadcoder.sandbox import layers, linux
from cadcoder.sandbox.layers import Plan
from cadcoder.sandbox.limits import Limits

_LEFT_OUT = "left out on request"
_PR_GET_PDEATHSIG, _PR_GET_NO_NEW_PRIVS = 2, 39


def probe_namespaces(
    folder: str, readable: Sequence[str], without: Collection[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The first set of namespaces that a disposable process can enter whole, and why the others are missing.

    Args:
        folder: An empty folder to mount things on.
        readable: What the new root shall hold.
        without: Layers not to try.
    """
    everything = layers.NAMESPACE_SETS[0]
    if not linux.IS_LINUX:
        return (), dict.fromkeys(everything, "only Linux has it")
    reasons: list[str] = []
    found: tuple[str, ...] = ()
    for candidates in layers.NAMESPACE_SETS:
        names = tuple(name for name in candidates if name not in without)
        fault = succeeds(lambda names=names: _try_namespaces(names, folder, readable))  # type: ignore[misc]
        if fault is None:
            found = names
            break
        reasons.append(fault)
    missing = {}
    for name in everything:
        if name in without:
            missing[name] = _LEFT_OUT
        elif name not in found:
            missing[name] = f"{reasons[0]}{_hint()}" if reasons else "does not work without those left out"
    return found, missing


def _hint() -> str:
    """Which switch of the system is known to forbid user namespaces, if one is set."""
    for path, value in (
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        try:
            with open(path) as file:
                if file.read().strip() == value:
                    return f" ({path} is {value})"
        except OSError:
            pass
    return ""


def _try_namespaces(names: tuple[str, ...], folder: str, readable: Sequence[str]) -> None:
    before = {name: _namespace(name) for name in names}
    layers.enter_namespaces(names)

    def inside() -> None:
        for name in names:
            if name != "root_fs" and _namespace(name) == before[name]:
                raise OSError(f"{name}: it is still the old one")
        if "pid_ns" in names and os.getpid() != 1:
            raise OSError("pid_ns: not the first process of its namespace")
        if "root_fs" in names:
            layers.build_root(folder, readable)
            layers.own_work_folder()
            layers.fresh_work_folder(Limits(), False)
            if not os.statvfs("/").f_flag & os.ST_RDONLY or os.path.exists("/proc/self"):
                raise OSError("root_fs: the old root is still there")
            if os.statvfs(layers.work_in_root).f_files != Limits().files:
                raise OSError("root_fs: the working folder has no limit of files")

    fault = succeeds(inside)
    if fault is not None:
        raise OSError(fault)


def _namespace(name: str) -> str:
    return os.readlink(f"/proc/self/ns/{'mnt' if name == 'root_fs' else name.removesuffix('_ns')}")


def probe_child_layers(plan: Plan, folder: str, without: Collection[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The child's layers that work here, and why the others do not.

    Args:
        plan: Its ``child_layers`` are ignored.
        folder: A working folder where there is no ``root_fs``.
        without: Layers not to try.
    """
    working: list[str] = []
    missing: dict[str, str] = {}
    for name in layers.CHILD_LAYERS:
        if name in without:
            missing[name] = _LEFT_OUT
        elif name in layers.LINUX_LAYERS and not linux.IS_LINUX:
            missing[name] = "only Linux has it"
        else:
            # Landlock and seccomp need no_new_privs, so each is tried on top of those before it.
            trial = replace(plan, child_layers=(*working, name))
            fault = succeeds(lambda trial=trial, name=name: _try_child_layer(trial, name, folder))  # type: ignore[misc]
            if fault is None:
                working.append(name)
            else:
                missing[name] = fault
    return tuple(working), missing


def _try_child_layer(plan: Plan, name: str, folder: str) -> None:
    limits = Limits()
    os.environ["CADCODER_PROBE"] = "1"
    leak = os.dup2(0, 50)
    if "root_fs" in plan.namespaces:
        layers.own_work_folder()
        layers.fresh_work_folder(limits, False)
    layers.confine(plan, limits, folder)
    effects: dict[str, Callable[[], bool]] = {
        "pdeathsig": lambda: _parent_death_signal() == signal.SIGKILL,
        "process_group": lambda: os.getsid(0) == os.getpid(),
        "closed_fds": lambda: not _works(lambda: os.fstat(leak)),
        "empty_env": lambda: not os.environ and ctypes.CDLL(None).getenv(b"CADCODER_PROBE") == 0,
        "rlimits": lambda: _limited(limits),
        "capabilities": lambda: not any(linux.capabilities()),
        "no_new_privs": lambda: linux.get_prctl(_PR_GET_NO_NEW_PRIVS) == 1,
        "landlock": lambda: not _works(lambda: os.listdir("/")),
        "seccomp": lambda: not _works(lambda: socket.socket().close()),
    }
    if not effects[name]():
        raise OSError("the kernel takes it, but it changes nothing")


def _parent_death_signal() -> int:
    value = ctypes.c_int()
    linux.get_prctl(_PR_GET_PDEATHSIG, ctypes.addressof(value))
    return value.value


def _limited(limits: Limits) -> bool:
    names = ["RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE"] + ["RLIMIT_AS", "RLIMIT_DATA"] * linux.IS_LINUX
    finite = all(resource.getrlimit(getattr(resource, name))[1] != resource.RLIM_INFINITY for name in names)
    return finite and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def _works(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES, errno.EBADF)
    return True


def succeeds(action: Callable[[], object]) -> str | None:
    """Run ``action`` in a disposable process; None, or why it failed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 3)
        try:
            action()
        except BaseException as error:  # noqa: B036 - reported to the parent
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            os.write(3, words.encode()[:300])
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        text = stream.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else text or f"ended with status {status}"
