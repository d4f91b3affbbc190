"""The layers of the sandbox: which this machine has, and how a process puts them on.

Two places. The *zygote* enters fresh namespaces and a root file system that holds only libraries (``enter_namespaces``,
``build_root``). Each *child* it forks confines itself before it reads its job (``confine``). Both are tried once in a
disposable process at start; a layer that worked there and fails later ends the child with ``EXIT_SETUP``, so that
nothing ever runs with fewer layers than its result says.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cadcoder.sandbox import landlock, linux, seccomp
from cadcoder.sandbox import limits as resource_limits
from cadcoder.sandbox.limits import MEGABYTE, Limits

# Exit codes of a child that could not be confined, and of one whose own (trusted) part failed.
EXIT_SETUP = 97
EXIT_ROLE = 98

# Every layer and what it does, in the order in which they go on; the names are those in results and on command lines.
LAYERS: dict[str, str] = {
    "user_ns": "a user namespace: no power over anything outside it, not even for root",
    "net_ns": "a network namespace: no interface, no address, nobody's abstract sockets",
    "ipc_ns": "an IPC namespace: nobody's shared memory, semaphores and message queues",
    "uts_ns": "a UTS namespace: the host's name is out of reach",
    "pid_ns": "a pid namespace a script: other processes cannot be named, and all of its own die with it",
    "root_fs": "a mount namespace: a root of read-only libraries, a tmpfs with a limit of files as working folder",
    "pdeathsig": "a script dies with the process that started it",
    "process_group": "a session of its own: signals to a group reach only itself, and end all of it",
    "closed_fds": "no descriptor but its own output and answer",
    "empty_env": "no environment variable",
    "rlimits": "limits on processor time, memory, file size, descriptors; no core dumps",
    "capabilities": "no capability, so that root is nobody",
    "no_new_privs": "set-uid programs give nothing",
    "landlock": "the kernel's access rules: libraries to read, the working folder to write, no TCP, no signals outside",
    "seccomp": "a filter of system calls: no socket, process, program, namespace, trace",
}
_NAMESPACES = {
    "user_ns": linux.CLONE_NEWUSER,
    "net_ns": linux.CLONE_NEWNET,
    "ipc_ns": linux.CLONE_NEWIPC,
    "uts_ns": linux.CLONE_NEWUTS,
    "pid_ns": linux.CLONE_NEWPID,
    "root_fs": linux.CLONE_NEWNS,
}
# Tried in this order; a container often allows none of them, then Landlock and seccomp hold alone.
NAMESPACE_SETS: tuple[tuple[str, ...], ...] = (
    ("user_ns", "net_ns", "ipc_ns", "uts_ns", "pid_ns", "root_fs"),
    ("net_ns", "ipc_ns", "uts_ns", "pid_ns", "root_fs"),
    ("user_ns", "net_ns", "ipc_ns", "uts_ns", "pid_ns"),
    ("user_ns", "net_ns", "ipc_ns"),
    (),
)
# What a child puts on itself: the first are plain POSIX and work everywhere, the others are Linux's.
POSIX_LAYERS = ("process_group", "closed_fds", "empty_env", "rlimits")
LINUX_LAYERS = ("pdeathsig", "capabilities", "no_new_privs", "landlock", "seccomp")
CHILD_LAYERS = tuple(name for name in LAYERS if name in (*POSIX_LAYERS, *LINUX_LAYERS))
# Without these a script could read and write the user's files, or open the network and start programs.
REQUIRED = ("landlock", "seccomp")

# Where a script works in a root of its own: where people write, unless libraries lie there, which it would hide.
_WORK, _WORK_ELSEWHERE = "/tmp", "/cadcoder-work"
work_in_root = _WORK
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_EXTRA_READABLE = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/etc/fonts",
    "/usr/share/fontconfig",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/etc/ld.so.cache",
)


@dataclass(frozen=True)
class Plan:
    """What a child puts on.

    Attributes:
        namespaces: The zygote's namespaces, a member of ``NAMESPACE_SETS``.
        child_layers: The layers to apply in the child, from ``CHILD_LAYERS``.
        readable: Paths that may be read (libraries, fonts).
        base_bytes: Address space that the zygote has mapped.
    """

    namespaces: tuple[str, ...]
    child_layers: tuple[str, ...]
    readable: tuple[str, ...]
    base_bytes: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every active layer, for the result."""
        return (*self.namespaces, *self.child_layers)


def strength(active: Sequence[str]) -> str:
    """``full`` if every layer is active, else ``reduced``."""
    return "full" if set(LAYERS) <= set(active) else "reduced"


def unknown(names: Sequence[str]) -> str | None:
    """What is wrong with a list of layers, as one line; None if nothing is."""
    wrong = sorted(set(names) - set(LAYERS))
    return f"there is no sandbox layer {', '.join(wrong)}; there are {', '.join(LAYERS)}" if wrong else None


def lacking(missing: Mapping[str, str], without: Sequence[str]) -> str | None:
    """Why these layers do not make a sandbox, as one line; None if they do.

    Args:
        missing: The layers that this machine lacks, each with the reason.
        without: Layers that the caller said to do without.
    """
    if not linux.IS_LINUX:
        return None  # nothing better is to be had; the result says which layers there were
    lost = [name for name in REQUIRED if name in missing and name not in without]
    if not lost:
        return None
    reasons = "; ".join(f"{name}: {missing[name]}" for name in lost)
    return f"scripts cannot be run safely here ({reasons}); --unsafe-sandbox {','.join(lost)} runs them all the same"


def enter_namespaces(names: Sequence[str]) -> None:
    """Move this single-threaded process into fresh namespaces, all but ``root_fs``; ``pid_ns`` begins with its child.

    Raises:
        OSError: if the kernel refuses one of them.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = 0
    for name in names:
        if name != "root_fs":
            flags |= _NAMESPACES[name]
    if not flags:
        return
    linux.unshare(flags)
    if "user_ns" in names:
        # The same numbers inside as outside, and no others.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")


def build_root(folder: str, readable: Sequence[str]) -> None:
    """Replace this process's file system, in a mount namespace of its own, by a read-only one with ``readable`` alone.

    Args:
        folder: An empty folder to mount it on.
        readable: Absolute paths of files and folders to bind.

    Raises:
        OSError: if the kernel refuses a step.
    """
    global work_in_root  # of this process and its children, as their root is
    hidden = any(os.path.realpath(path).startswith(_WORK + "/") or path == _WORK for path in readable)
    work_in_root = _WORK_ELSEWHERE if hidden else _WORK
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")
    os.mkdir(folder + work_in_root, 0o700)
    for path in readable:
        target = folder + path
        if os.path.isdir(path):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.exists(target):
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        linux.mount(path, target, None, linux.MS_BIND | linux.MS_REC)
        linux.make_read_only(target)
    for path in _DEVICES:
        os.makedirs(folder + "/dev", exist_ok=True)
        os.close(os.open(folder + path, os.O_CREAT | os.O_WRONLY, 0o600))
        linux.mount(path, folder + path, None, linux.MS_BIND)
    linux.make_read_only(folder, recursive=False)
    linux.enter_root(folder)


def readable_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """``paths`` and the system's fonts and locale data: those that exist, resolved, without those inside others."""
    resolved = {os.path.realpath(path) for path in (*paths, *_EXTRA_READABLE) if path and os.path.exists(path)}
    resolved -= {"/"}
    kept: list[str] = []
    for path in sorted(resolved, key=lambda p: p.count("/")):
        if not any(path == outer or path.startswith(outer.rstrip("/") + "/") for outer in kept):
            kept.append(path)
    return tuple(kept)


def confine(plan: Plan, limits: Limits, folder: str) -> str:
    """Put every layer on this freshly forked child and enter its working folder; there is no way back.

    With ``root_fs`` the parent has called ``own_work_folder`` and ``fresh_work_folder``: a mount namespace a child
    would cost ten milliseconds, most of them spent waiting for the kernel to tell every processor.

    Descriptors 0 to 3 are left open, every other one is closed. The filter of system calls comes last.

    Args:
        plan: The layers that the probe found.
        limits: The caps.
        folder: The working folder where there is no ``root_fs``; else ignored.

    Returns:
        The working folder.

    Raises:
        OSError: if a layer fails; the caller must end the process.
    """
    if "root_fs" in plan.namespaces:
        folder = work_in_root
    steps: dict[str, Callable[[], object]] = {
        "pdeathsig": lambda: linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL),
        "process_group": os.setsid,
        "closed_fds": lambda: os.closerange(4, 4096),
        "empty_env": os.environ.clear,
        "rlimits": lambda: resource_limits.apply(limits, plan.base_bytes, "user_ns" in plan.namespaces),
        "capabilities": linux.drop_capabilities,
        "no_new_privs": lambda: linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1),
        "landlock": lambda: landlock.restrict((*plan.readable, *_DEVICES), (folder, "/dev/null")),
        "seccomp": seccomp.install,
    }
    os.umask(0o077)
    os.chdir(folder)
    for name, step in steps.items():
        if name in plan.child_layers:
            step()
    return folder


def own_work_folder() -> None:
    """Give this process, whose root ``build_root`` made, a mount namespace of its own for its working folder."""
    linux.unshare(linux.CLONE_NEWNS)


def fresh_work_folder(limits: Limits, used: bool) -> None:
    """Mount an empty tmpfs as working folder; what was there goes unseen, with the one before.

    Args:
        limits: Its size and number of files.
        used: Whether there is one before.

    Raises:
        OSError: if the kernel refuses.
    """
    if used:
        linux.unmount(work_in_root)
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    size = f"size={limits.file_mb * MEGABYTE},nr_inodes={limits.files},mode=700"
    linux.mount("tmpfs", work_in_root, "tmpfs", flags, size)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
