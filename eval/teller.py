"""Calls in a process of their own, which outlives a run that is killed.

An answer that is under way when a run is killed will be billed all the same. So the calls are made by a child in a
session of its own: when the run goes, the child finishes what it has begun, keeps the answers and ends. The next run
waits for that (the child holds the folder's lock, ``asking``) and then finds them.

``python -m eval.teller`` reads pickled frames from standard input and writes pickled frames to standard output; keys
are in its environment and in no frame.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from cadcoder.errors import CadCoderError, ConfigError
from eval.cache import Cache
from eval.client import Client, Fault, Reply, Request, record
from eval.money import price_of
from eval.specs import Spec

_LENGTH = struct.Struct("<Q")


class Teller:
    """A :class:`eval.client.Client` in another process, which also keeps the answers."""

    #: Whoever calls need not keep the answer.
    keeps = True

    def __init__(self, spec: Spec, cache: Path, lock: int | None = None) -> None:
        """Start the process and let it open its connection.

        Args:
            spec: the model.
            cache: folder of the answers.
            lock: descriptor of a lock that is held as long as the process lives.

        Raises:
            CadCoderError: what the client raises.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eval.teller"],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # neither a terminal's interrupt nor a signal to the run's group reaches it
            pass_fds=() if lock is None else (lock,),
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Reply]] = {}
        self._count = 0
        _write(self._in, (spec, str(cache.resolve())))
        answer = _read(self._out)
        if not isinstance(answer, str):
            raise (
                answer if isinstance(answer, CadCoderError) else ConfigError(f"{spec.label} cannot be asked: {answer}")
            )
        self.model = answer
        threading.Thread(target=self._listen, daemon=True, name="cadcoder-teller").start()

    def ask(self, request: Request, attempt: int = 1) -> Reply:
        """Put one question and return the answer, which is kept by then.

        Raises:
            Fault: if there is none that can be used.
        """
        future: Future[Reply] = Future()
        with self._lock:
            self._count += 1
            self._waiting[self._count] = future
            try:
                _write(self._in, (self._count, request, attempt))
            except OSError:
                raise Fault("network", "the process that makes the calls has ended") from None
        return future.result()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):
            while True:
                number, reply = _read(self._out)
                future = self._waiting.pop(number)
                if isinstance(reply, Reply):
                    future.set_result(reply)
                else:
                    future.set_exception(Fault(*reply))
        for future in list(self._waiting.values()):
            future.set_exception(Fault("network", "the process that makes the calls has ended"))

    def close(self) -> None:
        """Let it finish what it has begun, and end."""
        with contextlib.suppress(OSError):
            self._in.close()
        self._process.wait()


@contextlib.contextmanager
def asking(folder: Path, seconds: float = 900.0) -> Iterator[int]:
    """Hold a folder's lock for tellers; wait for those of a run that was killed.

    Raises:
        ConfigError: if they do not end in time.
    """
    with open(folder / ".asking", "w") as file:
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ConfigError(
                        f"calls of an earlier run in {folder} do not end; see who holds .asking"
                    ) from None
                time.sleep(0.05)
        yield file.fileno()


def _write(pipe: IO[bytes], content: Any) -> None:
    data = pickle.dumps(content)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _read(pipe: IO[bytes]) -> Any:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    data = pipe.read(_LENGTH.unpack(head)[0])
    return pickle.loads(data)  # from our own parent or child, over a pipe


def main() -> int:
    """Serve a parent until it is gone and the last call is done."""
    into, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the frames
    lock = threading.Lock()

    def say(content: Any) -> None:
        with lock, contextlib.suppress(OSError):  # the parent may be gone
            _write(out, content)

    try:
        spec, folder = _read(into)
        cache, price = Cache(Path(folder)), price_of(spec)
        client = Client(spec)
    except CadCoderError as error:
        say(error)
        return 2
    except EOFError:
        return 0
    say(client.model)

    def work(number: int, request: Request, attempt: int) -> None:
        try:
            reply = client.ask(request)
            cost: Decimal | None = price.of(reply.tokens_in, reply.tokens_out)
            cache.put(request.key, record(request, reply, cost, attempt))
            say((number, reply))
        except Fault as fault:
            say((number, (fault.kind, fault.message, fault.retry_after, fault.status)))
        except CadCoderError as error:
            say((number, ("rejected", str(error), None, 0)))

    with ThreadPoolExecutor(256) as pool, contextlib.suppress(EOFError):
        while True:
            pool.submit(work, *_read(into))
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
