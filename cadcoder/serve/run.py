"""A server's life: a port, a model that loads while the port answers, signals, and an end without remains."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cadcoder.errors import CadCoderError, ConfigError, MissingDependency

if TYPE_CHECKING:
    import uvicorn

    from cadcoder.pipeline import Options

#: Seconds that open connections get to take their last answers.
LAST_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs.

    Attributes:
        host: address to listen at.
        port: its port; 0 takes one that is free.
        model: folder or name of a checkpoint; None is the default model.
        device: where it runs; None is the best that is there.
        workers: scripts that are run and fitted at the same time; None is one a core, four at most.
        queue: requests that may wait beside the one in work.
        max_body: bytes that a request may have.
        timeout: seconds from a request's arrival to its answer.
        grace: seconds that requests get to end when the server is told to.
        api_key: the key that clients must show; None where they need none.
        served: what clients call the model.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: str | None = None
    device: str | None = None
    workers: int | None = None
    queue: int = 16
    max_body: int = 20 * 2**20
    timeout: float = 120.0
    grace: float = 30.0
    api_key: str | None = None
    served: str = "cadcoder"

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.port < 65536:
            faults.append(f"the port must be from 0 to 65535, not {self.port}")
        if self.queue < 0:
            faults.append(f"the queue must hold 0 or more requests, not {self.queue}")
        if self.max_body < 1024:
            faults.append("the largest body must be at least 1 KiB")
        if not 0 < self.timeout < 1e6:
            faults.append(f"the timeout must be above 0 s, not {self.timeout}")
        if not 0 <= self.grace < 1e6:
            faults.append(f"the grace must be 0 s or more, not {self.grace}")
        if self.api_key is not None and not (self.api_key.strip() and self.api_key.isascii()):
            faults.append("the API key must not be empty, and of ASCII characters")
        if faults:
            raise ConfigError("; ".join(faults))


def check_installed() -> None:
    """Raise a :class:`MissingDependency` where the ``serve`` extra is not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingDependency(
            "the server needs Starlette and uvicorn; install them: pip install 'cadcoder[serve]'"
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    Raises:
        ConfigError: if the address is not ours, or the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"there is no address {host!r}; use 127.0.0.1, 0.0.0.0 or a name of this machine") from None
    family, kind, number, _, address = found[0]
    bound = socket.socket(family, kind, number)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        why = (error.strerror or str(error)).lower()
        raise ConfigError(f"port {port} of {host} cannot be used ({why}); choose another with --port") from None
    bound.setblocking(False)
    return bound


def serve(settings: Settings, options: Options, say: Callable[[str], None], log: Callable[[str], None]) -> None:
    """Serve until a signal comes, and end with no child left.

    Args:
        settings: how.
        options: what holds for requests that say nothing else.
        say: prints a line for the person.
        log: prints a line a request.

    Raises:
        CadCoderError: if the port or the model cannot be used.
    """
    check_installed()
    from cadcoder.model.checkpoint import find
    from cadcoder.pipeline import Pipeline
    from cadcoder.serve.work import Worker

    find("default" if settings.model is None else settings.model)
    bound = listen(settings.host, settings.port)
    with bound:
        pipeline = Pipeline(settings.model, device=settings.device, workers=settings.workers, many=True)
        life = _Life(Worker(pipeline, options), settings, say, log)
        try:
            asyncio.run(life.run(bound))
        finally:
            pipeline.close()
    if life.failed is not None:
        raise life.failed
    if life.busy:
        # A thread that nobody waits for would hold the end up; its work is worth nothing any more.
        sys.stderr.flush()
        os._exit(0)


class _Life:
    """One run of a server, from the first connection to the last."""

    def __init__(
        self, worker: object, settings: Settings, say: Callable[[str], None], log: Callable[[str], None]
    ) -> None:
        from cadcoder.serve.jobs import Jobs
        from cadcoder.serve.work import Worker

        assert isinstance(worker, Worker)
        self._worker, self._settings, self._say, self._log = worker, settings, say, log
        self._jobs = Jobs(worker.do, settings.queue)
        self._ended = asyncio.Event()
        self._signals = 0
        self.failed: CadCoderError | None = None

    @property
    def busy(self) -> bool:
        """Whether threads still run that nobody waits for."""
        return any(t.name in ("cadcoder-request", "cadcoder-warm") for t in threading.enumerate())

    async def run(self, bound: socket.socket) -> None:
        """Serve on a bound socket until a signal comes or the model cannot be loaded."""
        from cadcoder.serve.app import Api, Limits

        settings = self._settings
        limits = Limits(body=settings.max_body, seconds=settings.timeout, key=settings.api_key)

        def log(status: int, what: str, seconds: float) -> None:
            self._log(f"{status} {what} {seconds:.2f} s")

        api = Api(self._jobs, self._worker.options, settings.served, limits, log)
        server = _server(api.app())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._say(f"listening on http://{shown}:{port}, loading the model")
        if settings.api_key is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            self._say("warning: others can reach this server, and no --api-key is set")
        threading.Thread(target=self._warm, args=(loop,), daemon=True, name="cadcoder-warm").start()
        working = asyncio.create_task(self._jobs.run())
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait([serving, working, ended], return_when=asyncio.FIRST_COMPLETED)
        await self._drain()
        server.should_exit = True
        await serving
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        self._say("stopped")

    def _warm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Load the model, on a thread of its own."""
        try:
            self._worker.warm()
        except CadCoderError as error:
            self.failed = error
            done = self._ended.set
        else:
            done = self._ready
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has been ended meanwhile
            loop.call_soon_threadsafe(done)

    def _ready(self) -> None:
        if not self._ended.is_set():
            self._jobs.refusing = None
            self._say("ready")

    def _signalled(self) -> None:
        self._signals += 1
        self._jobs.refuse("the server is ending")
        self._ended.set()

    async def _drain(self) -> None:
        """Let the requests that are here end; after the grace, or a second signal, tell them that they will not."""
        loop = asyncio.get_running_loop()
        self._jobs.refuse("the server is ending")
        limit = loop.time() + self._settings.grace
        if self._jobs.within:
            self._say(f"ending; {self._jobs.within} requests get {self._settings.grace:g} s (again ends at once)")
        while self._jobs.within and loop.time() < limit and self._signals < 2:
            await asyncio.sleep(0.05)
        self._jobs.end_all()


def _server(app: object) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to us: it would end by the signal, and not with exit code 0."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
    )
