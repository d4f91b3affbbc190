"""The fork server: on request, forks confined children that do one job each, and ends them.

It looks at nothing that a child sends: a child speaks with the supervisor on a socket that passes through here unread.
Every child ends by SIGKILL to its whole group, and is only then collected, so that its process id cannot be another's.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import tempfile
from typing import Any, NoReturn

from cadcoder.sandbox import layers, linux
from cadcoder.sandbox.frames import HEADER, READY, FrameReader, encode
from cadcoder.sandbox.layers import EXIT_ROLE, EXIT_SETUP, Plan
from cadcoder.sandbox.limits import Limits

_CONTROL_BYTES = 1 << 16


class Server:
    """Answers spawn, end and server requests on one control socket."""

    def __init__(self, control: socket.socket, plan: Plan, own_pid_ns: int | None, own_folder: bool = False) -> None:
        self.control = control
        self.plan = plan
        self.own_pid_ns = own_pid_ns
        self.children: set[int] = set()
        self._folder: Limits | None = None  # what the working folder is mounted with
        if own_folder:
            layers.own_work_folder()

    def serve(self) -> None:
        """Answer until the supervisor hangs up, then end every child."""
        while True:
            request, fds = _receive(self.control)
            if request is None:
                break
            if request["op"] == "spawn":
                answer = {"pid": self._spawn(request, fds)}
            elif request["op"] == "end":
                answer = self._end(request["pid"])
            else:
                answer = {"pid": self._server(fds)}
            self.control.sendall(encode(answer))
        for pid in self.children:
            kill(pid)

    def _spawn(self, request: dict[str, Any], fds: list[int]) -> int:
        limits = Limits(**request["limits"])
        if "root_fs" in self.plan.namespaces:
            self._clear_folder(limits)
        if self.own_pid_ns is not None:
            linux.unshare(linux.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            _child(request, limits, fds, self.plan)
        if self.own_pid_ns is not None:
            linux.setns(self.own_pid_ns, linux.CLONE_NEWPID)
        for fd in fds:
            os.close(fd)
        self.children.add(pid)
        return pid

    def _clear_folder(self, limits: Limits) -> None:
        """An empty working folder; one in which a child left nothing serves the next, too.

        No child of this server is alive now, and nothing is removed by name: the names are untrusted.
        """
        if self._folder == limits and not os.listdir(layers.work_in_root):
            return
        layers.fresh_work_folder(limits, self._folder is not None)
        self._folder = limits

    def _end(self, pid: int) -> dict[str, Any]:
        if pid not in self.children:
            raise ValueError("not a child")
        kill(pid)
        _, status, usage = os.wait4(pid, 0)
        self.children.discard(pid)
        return {"status": status, "peak": peak_bytes(usage), "cpu": usage.ru_utime + usage.ru_stime}

    def _server(self, fds: list[int]) -> int:
        self._reap()
        pid = os.fork()
        if pid == 0:
            if linux.IS_LINUX:
                linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            self.control.close()
            own_folder = "root_fs" in self.plan.namespaces
            Server(socket.socket(fileno=fds[0]), self.plan, self.own_pid_ns, own_folder).serve()
            os._exit(0)
        for fd in fds:
            os.close(fd)
        return pid

    def _reap(self) -> None:
        """Collect servers that ended, and orphans of theirs: the root zygote is the init of its pid namespace."""
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    return
            except ChildProcessError:
                return


def _child(request: dict[str, Any], limits: Limits, fds: list[int], plan: Plan) -> NoReturn:
    """Confine this forked process, do its one job, and end."""
    try:
        # 0: nothing; 1 and 2: what the script prints; 3: the job. In this order, for the numbers may overlap.
        job, output = (os.dup2(fd, number) for fd, number in zip(fds, (60, 61), strict=True))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for source, target in ((output, 1), (output, 2), (job, 3)):
            os.dup2(source, target)
        tempfile.tempdir = layers.confine(plan, limits, request["folder"])  # what it found before may be out of reach
    except BaseException as error:  # noqa: B036 - nothing may run unconfined
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(EXIT_SETUP)
    # Kept here because the script may replace those in sys.
    streams = [open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False) for fd in (1, 2)]
    sys.stdout, sys.stderr = streams
    try:
        _write_all(3, READY)
        message, parts = _read_job(limits)
        if request["role"] == "builder":
            from cadcoder.sandbox import builder

            answer = builder.build(parts["code"].decode("utf-8"), message["strict_name"])
        else:
            from cadcoder.sandbox import judge

            answer = judge.judge(message, parts["brep"])
        for stream in streams:
            with contextlib.suppress(Exception):
                stream.flush()
        _write_all(3, answer)
    except BaseException as error:  # noqa: B036 - the supervisor reads the exit code; the text is for the log
        with contextlib.suppress(BaseException):
            os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
        os._exit(EXIT_ROLE)
    os._exit(0)


def _read_job(limits: Limits) -> tuple[dict[str, Any], dict[str, bytes]]:
    reader = FrameReader(max(limits.code_bytes, limits.geometry_bytes))
    while True:
        data = os.read(3, min(reader.wanted, 1 << 20))
        if not data:
            os._exit(0)
        if reader.feed(data):
            return reader.message()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One request and the descriptors that came with it; None when the supervisor is gone."""
    reader = FrameReader(_CONTROL_BYTES, _CONTROL_BYTES)
    data, fds, _, _ = socket.recv_fds(control, HEADER.size, 2)
    while data:
        if reader.feed(data):
            return reader.message()[0], fds
        data = control.recv(reader.wanted)
    return None, fds


def kill(pid: int) -> None:
    """SIGKILL to a child's whole process group, and to the child itself in case it has none yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)


def peak_bytes(usage: resource.struct_rusage) -> int:
    """Peak resident memory in bytes; the kernel counts in kB, macOS in bytes."""
    return int(usage.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
