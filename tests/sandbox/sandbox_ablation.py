"""Runs attacks with chosen layers only, the real builder under them, to see which layer stops what by itself.

Without a sandbox the attacks work, so all this happens inside namespaces of its own, on a read-only file system, with a
small tmpfs as the user's folder; this process is their init. Reads a JSON list of ``[attack, [layer, ...]]`` from
standard input and prints a JSON list of what worked: null (stopped), or how it was seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

from sandbox_attacks import ATTACKS, CANARY, SECRET, WORKED, Attack

from cadcoder.sandbox import layers, linux
from cadcoder.sandbox.frames import FrameError, FrameReader
from cadcoder.sandbox.layers import Plan
from cadcoder.sandbox.limits import Limits

SECONDS = 2.0
PATIENCE = 6.0
STRANGER = 65534
_SETUP = "the layers could not be put on"
HOST = "ablation"
_OUTER = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
# An attack is about reaching and changing things, so it may take as long, and as much memory, as it needs for that.
_LIMITS = Limits(seconds=60, memory_mb=1000, file_mb=128, files=1000)


def enter_disposable() -> Path:
    """Move into a world that may be broken; the result is a folder in it.

    Raises:
        OSError: if the kernel refuses.
    """
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(_OUTER | (0 if uid == 0 else linux.CLONE_NEWUSER))
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    pid = os.fork()
    if pid:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os.kill(pid, signal.SIGKILL))
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.make_read_only("/")
    linux.mount("proc", "/proc", "proc", 0)
    # Not where this project or its libraries lie: they would be hidden.
    used = [os.path.realpath(path) + "/" for path in (*sys.path, __file__) if path]
    folder = next(
        Path(f) for f in ("/tmp", "/mnt", "/srv") if os.path.isdir(f) and not any(p.startswith(f + "/") for p in used)
    )
    linux.mount("tmpfs", str(folder), "tmpfs", 0, "size=200m,mode=755")
    socket.sethostname(HOST)
    _loopback_up()
    return folder


def _loopback_up() -> None:
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x49))  # SIOCSIFFLAGS: up, loopback, running


class World:
    """What attacks aim at, and what shows that they hit."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.path, self.hidden = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.hidden.bind("\0ablation")
        self.hidden.listen()
        for server in (self.udp, self.tcp, self.hidden):
            server.setblocking(False)
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        self.segment = libc.shmget(0x5EC2E7, 4096, 0o1600)
        ctypes.memmove(libc.shmat(self.segment, None, 0), SECRET.encode(), len(SECRET))

    def reset(self) -> None:
        """As it was at first."""
        self.path.close()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.outside)
        self.outside.mkdir()
        (self.outside / "secret.txt").write_text(SECRET)
        os.chmod(self.outside / "secret.txt", 0o600)
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(str(self.outside / "listener"))
        self.path.listen()
        self.path.setblocking(False)
        for work in ("work", "root"):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.outside.parent / work)
            (self.outside.parent / work).mkdir()
        if os.geteuid() == 0:
            program = self.outside / "setuid"
            shutil.copyfile("/usr/bin/id", program)
            os.chown(program, STRANGER, 0)
            os.chmod(program, 0o4755)
        socket.sethostname(HOST)
        while self.reached():
            pass

    def reached(self) -> str | None:
        """Which server somebody reached since the last time."""
        with contextlib.suppress(BlockingIOError):
            return self.udp.recv(10) and "udp"
        for name, server in (("tcp", self.tcp), ("path", self.path), ("abstract", self.hidden)):
            with contextlib.suppress(BlockingIOError):
                server.accept()[0].close()
                return name
        return None

    def changed(self) -> str | None:
        """What is no longer as it was."""
        secret = self.outside / "secret.txt"
        names = {"secret.txt", "listener", "setuid"}
        if not secret.exists() or secret.read_text() != SECRET:
            return "file changed"
        if set(os.listdir(self.outside)) - names:
            return "file made"
        if socket.gethostname() != HOST:
            return "host renamed"
        return self.reached()


def run(attack: Attack, active: tuple[str, ...], world: World, seconds: float = SECONDS) -> str | None:
    """Run one attack under the layers ``active`` alone; None if it was stopped, else how its success was seen."""
    world.reset()
    answer, writing = os.pipe()
    output, printing = os.pipe()
    stage = os.fork()
    if stage == 0:
        os.close(answer)
        os.close(output)
        _stage(attack, active, world, writing, printing)
    os.close(writing)
    os.close(printing)
    data, text = _listen(answer, output, seconds)
    found = _verdict(data, text)
    # The canary is the stage's child, of the same group; it says with its life whether anybody was killed.
    canary = _canaries()
    if not attack.parent_dies and len(canary) != 1:
        found = found or "somebody killed"
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(stage, signal.SIGKILL)
    os.close(answer)
    os.close(output)
    time.sleep(0.02)
    patience = time.monotonic() + 2.0  # a process that is ending takes its time on a busy machine; one left stays
    while left := [pid for pid in _others() if pid not in canary and pid != stage and _comm(pid) == "attack-left"]:
        if time.monotonic() > patience:
            break
        time.sleep(0.02)
    for pid in _others():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return found or ("process left" if left else None) or world.changed()


def _verdict(data: bytes, text: bytes) -> str | None:
    if _SETUP.encode() in text:
        return text.decode(errors="replace")
    if WORKED.encode() in text:
        return "program started"
    if text.strip() == str(STRANGER).encode():
        return "another user"
    reader = FrameReader()
    try:
        if reader.feed(data) and reader.message()[0].get("status") == "built":
            return "script says so"
    except FrameError:
        pass
    if os.environ.get("ABLATION_DEBUG"):
        print(data[:300], text[-600:], file=sys.stderr)
    return None


def _stage(attack: Attack, active: tuple[str, ...], world: World, answer: int, output: int) -> NoReturn:
    """The zygote's part: namespaces, root, one child with the child's layers; and a canary beside it."""
    folder = world.outside.parent
    os.setpgid(0, 0)
    linux.unshare(linux.CLONE_NEWNS)  # so that what is mounted goes with this process
    canary = os.fork()
    if canary == 0:
        os.closerange(0, 4096)
        os.open(os.devnull, os.O_RDONLY)
        linux.prctl(15, ctypes.cast(ctypes.c_char_p(b"attack-canary"), ctypes.c_void_p).value or 0)
        time.sleep(1000)
        os._exit(0)
    os.dup2(os.open(world.outside / "secret.txt", os.O_RDONLY), 40)
    os.environ[CANARY] = "x"
    code = attack.code(
        outside=world.outside,
        home=Path.home(),
        tcp=world.tcp.getsockname()[1],
        udp=world.udp.getsockname()[1],
        abstract="ablation",
        canary=canary,
        shm=0x5EC2E7,
    )
    namespaces = tuple(name for name in layers.NAMESPACE_SETS[0] if name in active)
    from cadcoder.sandbox.zygote import _library_paths

    readable = layers.readable_paths(_library_paths())
    layers.enter_namespaces(namespaces)
    child = os.fork()
    if child == 0:
        linux.prctl(15, ctypes.cast(ctypes.c_char_p(b"attack-left"), ctypes.c_void_p).value or 0)
        try:
            if "root_fs" in namespaces:
                layers.build_root(str(folder / "root"), readable)
            for source, target in ((answer, 60), (output, 61), (os.open(os.devnull, os.O_RDONLY), 0)):
                os.dup2(source, target)
            for source, target in ((61, 1), (61, 2), (60, 3)):
                os.dup2(source, target)
            names = tuple(name for name in layers.CHILD_LAYERS if name in active)
            plan = Plan(namespaces, names, readable, 3 << 30)
            if "root_fs" in namespaces:
                layers.fresh_work_folder(_LIMITS, False)
            layers.confine(plan, _LIMITS, str(folder / "work"))
        except BaseException as error:  # noqa: B036 - told to the reader, never taken for a stopped attack
            os.write(2, f"{_SETUP}: {error!r}\n".encode())
            os._exit(97)
        from cadcoder.sandbox import builder

        for fd in (60, 61):
            with contextlib.suppress(OSError):
                os.close(fd)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)
        data = builder.build(code, None)
        with contextlib.suppress(OSError):
            os.write(3, data[:60_000])
        os._exit(0)
    for fd in (answer, output):
        os.close(fd)
    if attack.parent_dies:
        time.sleep(0.3)
        os._exit(0)
    time.sleep(1000)
    os._exit(0)


def _listen(answer: int, output: int, seconds: float) -> tuple[bytes, bytes]:
    """All that comes on both until both are closed, or the time is up."""
    found = {answer: b"", output: b""}
    waiting = {answer, output}
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for fd in select.select(list(waiting), [], [], max(0, deadline - time.monotonic()))[0]:
            data = os.read(fd, 1 << 16)
            found[fd] += data
            if not data:
                waiting.discard(fd)
    return found[answer], found[output]


def _others() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != 1]


def _comm(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "" if state in "ZX" else Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _canaries() -> list[int]:
    return [pid for pid in _others() if _comm(pid) == "attack-canary"]


def main() -> None:
    jobs = json.load(sys.stdin)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    folder = enter_disposable()
    from cadcoder.sandbox.warmup import warm_up

    os.environ["HOME"] = os.environ["TMPDIR"] = str(folder)
    warm_up()
    world = World(folder)
    found = []
    for name, active in jobs:
        needed = ["no_new_privs"] if {"landlock", "seccomp"} & set(active) else []
        seen = run(ATTACKS[name], (*active, *needed), world)
        if seen is None and not active:  # on a busy machine an attack may need longer to show that it works
            seen = run(ATTACKS[name], (), world, PATIENCE)
        found.append(seen)
    json.dump(found, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
