"""The supervisor's side of the processes: starts the zygote, asks for children, talks with one under a deadline.

It runs in the calling process, so it never hands geometry to OpenCascade and trusts nothing that a child says.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cadcoder.errors import SandboxUnavailable
from cadcoder.sandbox import layers
from cadcoder.sandbox.frames import READY, FrameError, FrameReader, FrameTooLarge, encode
from cadcoder.sandbox.limits import Limits

START_SECONDS = 120.0
CONTROL_SECONDS = 20.0
_BOOTSTRAP = (
    "import sys; sys.path.extend(p for p in {path!r} if p not in sys.path); "
    "from cadcoder.sandbox.zygote import main; main({fd}, {without!r}, {many!r})"
)
# Handed on because a library may only be found, or must be kept single-threaded, by them; children see none of it.
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "SYSTEMROOT")
_SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class LayersMissing(SandboxUnavailable):
    """This machine lacks layers without which no script is run.

    Attributes:
        layers: The layers that it has.
        missing: Those that it lacks, each with the reason.
    """

    def __init__(self, text: str, active: tuple[str, ...], missing: dict[str, str]) -> None:
        super().__init__(text)
        self.layers = active
        self.missing = missing


class ProcessLost(Exception):
    """The zygote or one of its servers does not answer any more."""


class Link:
    """A control socket to the zygote or to a server; one request at a time."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.lock = threading.Lock()

    def ask(
        self, request: Mapping[str, Any], fds: tuple[int, ...] = (), wait: float = CONTROL_SECONDS
    ) -> dict[str, Any]:
        """Send a request with descriptors and return the answer.

        Raises:
            ProcessLost: if the other side is gone, silent for ``wait`` seconds, or answers nonsense.
        """
        try:
            with self.lock:
                self.control.settimeout(wait)
                data = encode(request)
                if fds:
                    sent = socket.send_fds(self.control, [data], list(fds))
                    data = data[sent:]
                self.control.sendall(data)
                return self._answer()
        except (OSError, FrameError) as error:
            raise ProcessLost(str(error)) from error

    def _answer(self) -> dict[str, Any]:
        reader = FrameReader(1 << 16, 1 << 16)
        while True:
            data = self.control.recv(reader.wanted)
            if not data:
                raise ProcessLost("closed")
            if reader.feed(data):
                return reader.message()[0]

    def close(self) -> None:
        """Close the socket, which ends the process at the other side."""
        self.control.close()


class Zygote(Link):
    """The warm process, started on construction.

    Args:
        without: Layers to leave out.
        many: Whether many scripts are to be expected: its memory is then laid out for forks.

    Attributes:
        layers: The active layers.
        missing: Layers that this machine lacks, with the reason.
        idle_peak: Peak resident bytes of a child that does nothing.
    """

    def __init__(self, without: tuple[str, ...] = (), many: bool = True) -> None:
        if os.name != "posix":
            raise SandboxUnavailable("scripts are run on Linux and macOS only; on Windows use WSL")
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        with tempfile.TemporaryFile() as log:
            with theirs:  # closed here, so that the end of the other side is the end of the line
                self._process = _start(theirs, log, without, many)
            try:
                self.control.settimeout(START_SECONDS)
                ready = self._answer()
            except (ProcessLost, OSError, FrameError) as error:
                self.close()
                log.seek(0)
                words = log.read().decode(errors="replace").strip().splitlines()
                reason = words[-1] if words else str(error)
                raise SandboxUnavailable(f"the executor's process did not start: {reason}") from error
        fault = layers.lacking(ready["missing"], without)
        if fault is not None:
            self.close()
            raise LayersMissing(fault, tuple(ready["layers"]), ready["missing"])
        self.layers: tuple[str, ...] = tuple(ready["layers"])
        self.missing: dict[str, str] = ready["missing"]
        self.idle_peak: int = ready["idle_peak"]
        self.folder: str = ready["folder"]

    def server(self) -> Link:
        """A new fork server."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.ask({"op": "server"}, (theirs.fileno(),))
            except ProcessLost:
                ours.close()
                raise
        return Link(ours)

    def close(self) -> None:
        """End the zygote and everything that it started."""
        super().close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        folder = getattr(self, "folder", None)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start(control: socket.socket, log: Any, without: tuple[str, ...], many: bool) -> subprocess.Popen[bytes]:
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [package_root, *(os.path.abspath(p) for p in sys.path if p and os.path.isdir(p))]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= dict.fromkeys(_SINGLE_THREAD, "1")
    environment |= {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-s",
            "-X",
            "utf8",
            "-c",
            _BOOTSTRAP.format(path=path, fd=control.fileno(), without=without, many=many),
        ],
        env=environment,
        pass_fds=(control.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        cwd="/",
        start_new_session=True,
    )


@dataclass
class Conversation:
    """What came of one child.

    Attributes:
        end: ``answered``, ``silent`` (it ended or hung up without an answer), ``timeout``,
            ``flood`` (printed too much), ``too large`` (a frame over the caps) or ``garbled``.
        confined: Whether it got as far as to be confined.
        message: Its answer, where there is one.
        parts: The answer's binary parts.
        output: What it printed, cut to the limit.
        status: Its wait status, as os.waitpid gives it.
        peak: Peak resident bytes.
        cpu: CPU seconds.
    """

    end: str = "silent"
    confined: bool = False
    message: dict[str, Any] | None = None
    parts: dict[str, bytes] | None = None
    output: bytes = b""
    status: int = 0
    peak: int = 0
    cpu: float = 0.0


def converse(server: Link, role: str, job: bytes, limits: Limits, folder: str) -> Conversation:
    """Have a server fork a child, give it a job, and wait for its answer until the deadline; then it is killed.

    Raises:
        ProcessLost: if the server is gone.
    """
    talk = Conversation()
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    try:
        try:
            request = {"op": "spawn", "role": role, "limits": limits.to_json(), "folder": folder}
            pid = server.ask(request, (theirs.fileno(), writing))["pid"]
        finally:
            theirs.close()
            os.close(writing)
        try:
            # What a builder sends, a judge must be able to take; the judge's own answer holds more than it was given.
            _listen(talk, ours, reading, job, limits, limits.geometry_bytes * (1 if role == "builder" else 2))
        finally:
            ended = server.ask({"op": "end", "pid": pid})
        talk.status, talk.peak, talk.cpu = ended["status"], ended["peak"], ended["cpu"]
    finally:
        ours.close()
        os.close(reading)
    return talk


def _listen(talk: Conversation, sock: socket.socket, output: int, job: bytes, limits: Limits, max_blob: int) -> None:
    """Send the job and read the answer and the output, whichever comes, until one of them settles the matter."""
    deadline = time.monotonic() + limits.seconds
    reader = FrameReader(max_blob)
    to_send = memoryview(job)
    printed = 0
    kept = bytearray()
    sock.setblocking(False)
    os.set_blocking(output, False)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        selector.register(output, selectors.EVENT_READ)
        done = False
        while not done:
            left = deadline - time.monotonic()
            if left <= 0:
                talk.end = "timeout"
                break
            for key, events in selector.select(left):
                if key.fileobj == output:
                    data = _read(output)
                    printed += len(data)
                    kept += data[: max(0, limits.kept_output_bytes - len(kept))]
                    if not data:
                        selector.unregister(output)
                    if printed > limits.output_bytes:
                        talk.end = "flood"
                        done = True
                    continue
                if events & selectors.EVENT_WRITE and to_send:
                    try:
                        to_send = to_send[sock.send(to_send) :]
                    except OSError:
                        to_send = memoryview(b"")
                    if not to_send:
                        selector.modify(sock, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    done = _hear(talk, sock, reader)
        # What was printed just before the end is still in the pipe.
        if talk.end != "flood":
            rest = _read(output)
            kept += rest[: max(0, limits.kept_output_bytes - len(kept))]
    talk.output = bytes(kept)


def _hear(talk: Conversation, sock: socket.socket, reader: FrameReader) -> bool:
    """Read what is there; True when the child has nothing more to say."""
    try:
        data = sock.recv(1 if not talk.confined else max(1, min(reader.wanted, 1 << 20)))
    except BlockingIOError:
        return False
    except OSError:
        data = b""
    if not data:
        return True
    try:
        if not talk.confined:
            talk.confined = data == READY
            return not talk.confined
        if not reader.feed(data):
            return False
        talk.message, talk.parts = reader.message()
        talk.end = "answered"
    except FrameTooLarge:
        talk.end = "too large"
    except FrameError as error:
        talk.end = "garbled"
        talk.message = {"message": str(error)}
    return True


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:
        return b""
